"""Contracts as Glue tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from contracts.contract import Contract
from lambdas.aws import error_code

if TYPE_CHECKING:
    from types_boto3_glue import GlueClient
    from types_boto3_glue.type_defs import TableInputTypeDef


def table_input(contract: Contract, bucket: str) -> TableInputTypeDef:
    """The Glue table of a contract's Delta table.

    Engines read columns and files from the Delta log; here they find that it is Delta, and where: Athena by table_type
    and location, Trino by the provider and the serde's path, Spark by both.

    Source: https://docs.aws.amazon.com/athena/latest/ug/delta-lake-tables.html,
        https://trino.io/docs/current/connector/delta-lake.html
    """
    location = f"s3://{bucket}/{contract.table}"
    described = {field.name: field.description for field in contract.fields}
    return {
        "Name": contract.table.split("/")[1],
        "Description": f"{contract.dataset} {contract.version}, owned by {contract.owner}",
        "Owner": contract.owner,
        "TableType": "EXTERNAL_TABLE",
        "Parameters": {
            "EXTERNAL": "TRUE",
            "classification": "delta",
            "table_type": "DELTA",
            "spark.sql.sources.provider": "delta",
            "assay.dataset": contract.dataset,
            "assay.version": contract.version,
        },
        "StorageDescriptor": {
            "Columns": [
                # Glue knows lower case only
                {"Name": name.lower(), "Type": kind.lower(), "Comment": described.get(name, "")[:255]}
                for name, kind in contract.columns
            ],
            "Location": location,
            "InputFormat": "org.apache.hadoop.mapred.SequenceFileInputFormat",
            "OutputFormat": "org.apache.hadoop.hive.ql.io.HiveSequenceFileOutputFormat",
            "SerdeInfo": {
                "SerializationLibrary": "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe",
                "Parameters": {"serialization.format": "1", "path": location},
            },
        },
    }


def register(glue: GlueClient, database: str, wanted: TableInputTypeDef) -> bool:
    """Create or change a table so that it is as wanted; True when that changed anything."""
    try:
        found = glue.get_table(DatabaseName=database, Name=wanted["Name"])["Table"]
    except ClientError as error:
        if error_code(error) != "EntityNotFoundException":
            raise
        try:
            glue.create_table(DatabaseName=database, TableInput=wanted)
        except ClientError as raced:
            if error_code(raced) != "AlreadyExistsException":
                raise
        return True
    if _contains(found, wanted):
        return False
    glue.update_table(DatabaseName=database, TableInput=wanted)
    return True


def _contains(found: object, wanted: object) -> bool:
    """Whether everything wanted is found; Glue adds keys of its own and drops empty ones."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        return all(_contains(found.get(key), value) for key, value in wanted.items() if value != "")
    if isinstance(wanted, list) and isinstance(found, list):
        return len(wanted) == len(found) and all(map(_contains, found, wanted))
    return found == wanted
