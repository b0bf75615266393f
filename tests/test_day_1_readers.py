"""Readers of the lake that are not the platform: what Glue tells them is so, and an analyst reads gold and no more."""

import datetime

import boto3
import delta_readers
import deltalake
import pyarrow.parquet as pq
import pytest
from botocore.exceptions import ClientError

from ops import lake
from spark_jobs.gold_tables import GOLD_TABLES

FIRST = datetime.date(2020, 3, 9)
pytestmark = pytest.mark.slow  # a cloud and a history of its own, where another process has the file before it
DENIED = {"AccessDenied", "AccessDeniedException", "403"}


@pytest.fixture(scope="module")
def loaded(laptop):
    """A lake that has a published day."""
    if laptop.version("gold/kpi_daily") is None:
        ended = laptop.run(FIRST)
        assert ended.status == "SUCCEEDED", ended.failure
    return laptop


@pytest.fixture(scope="module")
def catalog(loaded):
    """Every table that Glue knows, by database."""
    glue = loaded.access._client("glue")
    return {
        database["Name"]: glue.get_tables(DatabaseName=database["Name"])["TableList"]
        for database in glue.get_databases()["DatabaseList"]
    }


class Analyst:
    """Who has assumed the role of analysts."""

    def __init__(self, loaded):
        self.access, self.bucket = loaded.access, loaded.platform.lake_bucket
        role = f"arn:aws:iam::{self.access.credentials['aws_access_key_id']}:role/assay-local-analyst"
        keys = loaded.access._client("sts").assume_role(RoleArn=role, RoleSessionName="ada")["Credentials"]
        self.keys = {
            "aws_access_key_id": keys["AccessKeyId"],
            "aws_secret_access_key": keys["SecretAccessKey"],
            "aws_session_token": keys["SessionToken"],
        }

    def client(self, service):
        return boto3.client(service, region_name=self.access.region, endpoint_url=self.access.endpoint_url, **self.keys)

    def table(self, path):
        keys = {name.upper(): value for name, value in self.keys.items()}
        places = {"AWS_REGION": self.access.region, "AWS_ENDPOINT_URL": self.access.endpoint_url}
        options = {**keys, **places, "AWS_ALLOW_HTTP": "true"}
        return deltalake.DeltaTable(f"s3://{self.bucket}/{path}", storage_options=options)


@pytest.fixture(scope="module")
def analyst(loaded):
    return Analyst(loaded)


def path_of(table, bucket):
    return table["StorageDescriptor"]["Location"].removeprefix(f"s3://{bucket}/")


def test_glue_tells_every_reader_what_the_tables_are(loaded, catalog):
    bucket = loaded.platform.lake_bucket
    known = [table for tables in catalog.values() for table in tables]
    assert len(known) >= len(GOLD_TABLES) + 5
    for said in known:
        path, storage = path_of(said, bucket), said["StorageDescriptor"]
        table = lake.table(loaded.platform, path)
        columns = [(each["Name"], each["Type"]) for each in storage["Columns"]]
        assert columns == delta_readers.columns(table), path
        assert [each["Name"] for each in said.get("PartitionKeys", [])] == table.metadata().partition_columns
        assert storage["SerdeInfo"]["Parameters"]["path"] == storage["Location"]
        assert said["Parameters"]["spark.sql.sources.provider"] == "delta"
        first = table.schema().fields[0].name
        assert table.to_pyarrow_table(columns=[first]).num_rows == lake.count(loaded.platform, path)


def test_no_table_of_the_lake_has_what_a_reader_could_not_read(loaded):
    found = {path: lake.table(loaded.platform, path) for path in lake.tables(loaded.platform)}
    assert {path: delta_readers.hindrances(table) for path, table in found.items()} == {path: [] for path in found}


def test_an_analyst_reads_every_table_of_gold(loaded, catalog, analyst):
    tables = catalog["assay_local_gold"]
    assert len(tables) == len(GOLD_TABLES)
    for table in tables:
        path = path_of(table, analyst.bucket)
        assert analyst.table(path).to_pyarrow_table().num_rows == lake.count(loaded.platform, path)
    shown = analyst.client("glue").get_tables(DatabaseName="assay_local_gold")["TableList"]
    assert {each["Name"] for each in shown} == {each["Name"] for each in tables}


@pytest.mark.parametrize("path", ["bronze/fx_rates", "silver/orders", "quality/results"])
def test_an_analyst_is_denied_the_tables_below(loaded, analyst, path):
    assert lake.table(loaded.platform, path).version() >= 0
    with pytest.raises(
        (OSError, deltalake.exceptions.DeltaError), match=r"403|Forbidden|AccessDenied|denied|permission"
    ):
        analyst.table(path).to_pyarrow_table()


def denied(call):
    with pytest.raises(ClientError) as refused:
        call()
    return refused.value.response["Error"]["Code"] in DENIED


def test_an_analyst_is_denied_all_else(loaded, analyst):
    s3, glue, bucket = analyst.client("s3"), analyst.client("glue"), analyst.bucket
    key = loaded.access.s3.list_objects_v2(Bucket=bucket, Prefix="silver/")["Contents"][0]["Key"]
    assert denied(lambda: s3.get_object(Bucket=bucket, Key=key))
    for prefix in ("", "silver/", "candidates/", "quarantine/", "runs/"):
        assert denied(lambda prefix=prefix: s3.list_objects_v2(Bucket=bucket, Prefix=prefix))
    assert denied(lambda: s3.put_object(Bucket=bucket, Key="gold/fct_orders/x", Body=b""))
    for database in ("assay_local_bronze", "assay_local_silver", "assay_local_quality"):
        assert denied(lambda database=database: glue.get_tables(DatabaseName=database))
    assert denied(lambda: glue.delete_table(DatabaseName="assay_local_gold", Name="fct_orders"))
    assert denied(lambda: analyst.client("secretsmanager").get_secret_value(SecretId="assay/local/snowflake"))
    ledger = loaded.platform.ledger_table
    assert denied(lambda: analyst.client("dynamodb").scan(TableName=ledger))
    machine = loaded.platform.daily_batch
    assert denied(lambda: analyst.client("stepfunctions").start_execution(stateMachineArn=machine, input="{}"))


def test_an_analyst_keeps_results_in_a_bucket_that_expires(analyst):
    s3, bucket = analyst.client("s3"), analyst.bucket.replace("-lake-", "-results-")
    s3.put_object(Bucket=bucket, Key="1.csv", Body=b"a\n1\n")
    assert s3.get_object(Bucket=bucket, Key="1.csv")["Body"].read() == b"a\n1\n"


def test_an_analyst_has_one_workgroup_and_it_was_deployed_with_its_limits(analyst):
    athena = analyst.client("athena")
    group = athena.get_work_group(WorkGroup="assay-local-analysts")["WorkGroup"]["Configuration"]
    assert group["EnforceWorkGroupConfiguration"] in (True, "true")
    assert int(group["BytesScannedCutoffPerQuery"]) == 1_000_000_000
    assert denied(lambda: athena.get_work_group(WorkGroup="primary"))
    query = {"QueryString": "SELECT 1", "WorkGroup": "primary"}
    assert denied(lambda: athena.start_query_execution(**query))


def test_a_role_that_the_setting_does_not_name_cannot_become_an_analyst(analyst):
    role = f"arn:aws:iam::{analyst.access.credentials['aws_access_key_id']}:role/assay-local-analyst"
    assert denied(lambda: analyst.client("sts").assume_role(RoleArn=role, RoleSessionName="again"))


@pytest.mark.slow
def test_duckdb_reads_what_glue_says_with_an_analyst_s_rights(loaded, catalog, analyst, tmp_path):
    endpoint = analyst.access.endpoint_url.removeprefix("http://")
    secret = {
        "KEY_ID": analyst.keys["aws_access_key_id"],
        "SECRET": analyst.keys["aws_secret_access_key"],
        "SESSION_TOKEN": analyst.keys["aws_session_token"],
        "REGION": analyst.access.region,
        "ENDPOINT": endpoint,
        "URL_STYLE": "path",
        "USE_SSL": "false",
    }
    locations = {each["StorageDescriptor"]["Location"]: each for each in catalog["assay_local_gold"]}
    for location, path in delta_readers.duckdb(tmp_path, locations, secret).items():
        theirs, said = pq.read_table(path), locations[location]
        assert theirs.column_names == [each["Name"] for each in said["StorageDescriptor"]["Columns"]]
        ours = analyst.table(path_of(said, analyst.bucket)).to_pyarrow_table()
        assert theirs.num_rows == ours.num_rows > 0, location
