"""Ingests the sources of test_add_a_source.py, in the copy of the project: `python add_a_source_run.py LAKE DATABASE`."""

import json
import sys
from pathlib import Path

import boto3
import pytest
from moto import mock_aws
from spark_day import DAY_1, World
from spark_session import new_session

FILES = {
    "events": ("landing/events/1.jsonl", b'{"id": "a", "amount": "1.50"}\n{"id": "b", "amount": "2.00"}\n'),
    "rebates": ("landing/rebates/1.csv", b"id;amount\nc;0.10\n"),
}
BROKEN = ("landing/rebates/2.csv", b"id;amount\nd;much\n")


def put(world, key, body):
    world.store.put(key, body)
    return {"key": key, "etag": None, "size": len(body), "modified_at": "2026-07-28T16:00:00+00:00"}


def main(lake, database):
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        patch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
        secret = boto3.client("secretsmanager").create_secret(
            Name="sqlite", SecretString=json.dumps({"path": database})
        )["ARN"]
        world = World(new_session(), Path(lake), patch)
        receipts = {"suppliers": world.job(DAY_1, "ingest", "suppliers", history=True, secret_arn=secret)}
        for source, (key, body) in FILES.items():
            receipts[source] = world.job(DAY_1, "ingest", source, files=[put(world, key, body)])
        refused = world.job(DAY_1, "ingest", "rebates", files=[put(world, *BROKEN)], run="0001")
        for source, receipt in receipts.items():
            assert receipt["status"] == "SUCCEEDED", (source, receipt)
        columns = {"suppliers": ("id", "noted_at"), "events": ("id", "amount"), "rebates": ("id", "amount")}
        found = {source: world.rows(f"bronze/{source}", *names) for source, names in columns.items()}
        print(json.dumps({**found, "refused": refused["error"]}, default=str))


if __name__ == "__main__":
    main(*sys.argv[1:])
