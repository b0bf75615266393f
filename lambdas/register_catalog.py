"""RegisterCatalog: let Athena, Trino and Spark find the run's tables through Glue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contracts import contract as contracts
from lambdas import aws, runtime
from lambdas.catalog import register, table_input
from lambdas.payloads import Json, texts_of
from lambdas.receipts import Lake
from lambdas.settings import CatalogSettings
from lambdas.summary import committed_tables

AUDIT = "quality"


@runtime.handler
def lambda_handler(event: Mapping[str, Any]) -> Json:
    """Register every shared table that the run saw, the audit of its checks among them.

    A definition changes with the table: one that the run did not commit to is registered when it is missing, and left
    alone when it is there, for a newer contract's columns come with the first commit under it.

    Args:
        event: run_id, receipts.
    Returns:
        The tables, and how many of their definitions changed.
    """
    settings = runtime.settings(CatalogSettings)
    receipts = Lake(aws.s3(), settings.lake_bucket).receipts(texts_of(event, "receipts"))
    committed = committed_tables(receipts)
    # every check writes the audit, and no receipt counts its rows as data
    known = [each for each in contracts.load_all() if each.table in committed or each.layer == AUDIT]
    changed = [
        contract.table
        for contract in known
        if register(
            aws.glue(),
            settings.glue_databases[contract.layer],
            table_input(contract, settings.lake_bucket),
            may_change=committed.get(contract.table, True),
        )
    ]
    runtime.log("catalog registered", tables=len(known), tables_changed=changed)
    return {"tables": [contract.table for contract in known], "changed": len(changed)}
