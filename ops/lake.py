"""Reads tables of the lake without Spark, as an analyst's own tool would."""

from __future__ import annotations

from typing import Any

import deltalake

from ops.platform import Platform


def table(platform: Platform, path: str) -> deltalake.DeltaTable:
    """The Delta table at `path` of the lake bucket, such as gold/fct_daily_revenue.

    Raises:
        deltalake.exceptions.TableNotFoundError: nothing was ever committed there.
    """
    access = platform.access
    options = {"AWS_REGION": access.region or ""}
    if access.endpoint_url:
        options |= {"AWS_ENDPOINT_URL": access.endpoint_url, "AWS_ALLOW_HTTP": "true"}
    if access.credentials:
        options["AWS_ACCESS_KEY_ID"] = access.credentials["aws_access_key_id"]
        options["AWS_SECRET_ACCESS_KEY"] = access.credentials["aws_secret_access_key"]
    return deltalake.DeltaTable(f"s3://{platform.lake_bucket}/{path}", storage_options=options)


def tables(platform: Platform) -> list[str]:
    """Paths of all tables that have a commit, by layer."""
    found = []
    for layer in ("bronze", "silver", "gold", "quarantine", "quality"):
        listing = platform.access.s3.list_objects_v2(Bucket=platform.lake_bucket, Prefix=f"{layer}/", Delimiter="/")
        found += [prefix["Prefix"].rstrip("/") for prefix in listing.get("CommonPrefixes", [])]
    return found


def count(platform: Platform, path: str) -> int:
    """Number of rows, from the transaction log alone."""
    actions: Any = table(platform, path).get_add_actions(flatten=True)
    return int(sum(actions.column("num_records").to_pylist()))
