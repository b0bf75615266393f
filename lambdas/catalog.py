"""Contracts as Glue tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from contracts.contract import Contract
from lambdas.aws import error_code

if TYPE_CHECKING:
    from types_boto3_glue import GlueClient
    from types_boto3_glue.type_defs import TableInputTypeDef, TableTypeDef


def table_input(contract: Contract, bucket: str) -> TableInputTypeDef:
    """The Glue table of a contract's Delta table.

    Engines read columns and files from the Delta log; here they find that it is Delta, and where: Athena by table_type
    or the provider and the location, Trino by the provider and the serde's path, Spark by both. Athena's views, and
    filters of Lake Formation, need the columns too, as the log has them. No table is partitioned: files are pruned by
    the statistics that the log keeps.

    Source: https://docs.aws.amazon.com/athena/latest/ug/delta-lake-tables-syncing-metadata.html,
        https://trino.io/docs/current/connector/delta-lake.html, and Trino's
        HiveMetastoreBackedDeltaLakeMetastore.java (provider, path)
    """
    location = f"s3://{bucket}/{contract.table}"
    described = {field.name: field.description for field in contract.fields}
    return {
        "Name": contract.table.split("/")[1],
        "PartitionKeys": [],
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
                {"Name": name.lower(), "Type": kind.lower(), "Comment": _one_line(described.get(name, ""))[:255]}
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


def register(glue: GlueClient, database: str, wanted: TableInputTypeDef, *, may_change: bool = True) -> bool:
    """Create or change a table so that it is as wanted; True when that changed anything.

    Args:
        glue: a client.
        database: its database.
        wanted: the table. Columns that it had keep their order and new ones come last, as they do in a Delta table.
        may_change: False leaves a table that is there as it is.
    """
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
    wanted = _in_the_order_of(found, wanted)
    if not may_change or _contains(found, wanted):
        return False
    glue.update_table(DatabaseName=database, TableInput=wanted)
    return True


def _in_the_order_of(found: TableTypeDef, wanted: TableInputTypeDef) -> TableInputTypeDef:
    had = [column["Name"] for column in found.get("StorageDescriptor", {}).get("Columns", [])]
    storage = wanted["StorageDescriptor"]
    place = {name: at for at, name in enumerate(had)}
    # sorted() keeps the contract's order among those that are new
    columns = sorted(storage["Columns"], key=lambda column: place.get(column["Name"], len(had)))
    return {**wanted, "StorageDescriptor": {**storage, "Columns": columns}}


def _one_line(text: str) -> str:
    """The text as Glue takes it for a column: it refuses line breaks."""
    return " ".join(text.split())


def _contains(found: object, wanted: object) -> bool:
    """Whether everything wanted is found; Glue adds keys of its own and drops empty ones."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        return all(_contains(found.get(key), value) for key, value in wanted.items() if value != "")
    if isinstance(wanted, list) and isinstance(found, list):
        return len(wanted) == len(found) and all(map(_contains, found, wanted))
    return found == wanted
