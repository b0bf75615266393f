"""Tokens in place of personal values, made where the rows are.

The key is read by its secret's ARN in Spark's workers, and a literal in no expression: a plan, which Spark writes into
its event log, never holds it, and neither do the driver, a request or a receipt.

Source: contracts' classification (pii); RFC 2104 (HMAC).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as sf

from contracts.errors import InvalidRequestError
from spark_jobs.sources.credentials import secret_value
from spark_jobs.sources.rest import told_to_the_driver
from spark_jobs.transforms.personal import PHONE, country_code, phone_number, token

if TYPE_CHECKING:
    import pyarrow as pa  # type: ignore[import-untyped]

COUNTRY = "country"


def with_tokens(rows: DataFrame, kinds: Sequence[str], secret_arn: str | None) -> DataFrame:
    """The rows with tokens in place of personal values, and their country by its code.

    Args:
        rows: among others a column for each kind (`email`, `name`, `company` normalised; `phone` as it was entered),
            and `country` as it was entered.
        kinds: those columns.
        secret_arn: the secret with the key, as JSON `{"key": ...}`.
    Returns:
        The other columns, `<kind>_token` for each kind, and `country` in ISO 3166 alpha-2. A phone is dialled from its
        row's country; a phone or country that is none is null.
    Raises:
        InvalidRequestError: the request names no secret.
    """
    if not secret_arn:
        raise InvalidRequestError(
            "the request names no secret with the key of tokens; deploy the pipeline stack again, then redrive"
        )
    import pyarrow as pa
    from pyspark.sql.functions import arrow_udf  # type: ignore[attr-defined]

    names = [COUNTRY, *(f"{kind}_token" for kind in kinds)]
    settle = settling(kinds, secret_arn)
    # by its hints Spark knows what kind of function it is; written at it, they would need Arrow in every job
    settle.__annotations__ = {"rows": pa.Array, "return": pa.Array}
    settled = arrow_udf(settle, ", ".join(f"{name} string" for name in names))(sf.struct(COUNTRY, *kinds))
    others = [name for name in rows.columns if name not in (COUNTRY, *kinds)]
    return rows.withColumn("_settled", settled).select(
        *others, *(sf.col("_settled").getField(name).alias(name) for name in names)
    )


def settling(kinds: Sequence[str], secret_arn: str) -> Callable[[pa.Array], pa.Array]:
    """What a worker does with a batch of structs of country and kinds."""

    def settle(rows: pa.Array) -> pa.Array:
        import pyarrow as pa

        with told_to_the_driver():
            key = _key(secret_arn)
        names = [COUNTRY, *(f"{kind}_token" for kind in kinds)]
        settled = [_settled(row, kinds, key) for row in rows.to_pylist()]
        return pa.array(settled, pa.struct([(name, pa.string()) for name in names]))

    return settle


def _settled(row: Mapping[str, Any], kinds: Sequence[str], key: bytes) -> dict[str, str | None]:
    country = country_code(row[COUNTRY])
    values = {kind: phone_number(row[kind], country) if kind == PHONE else row[kind] for kind in kinds}
    return {COUNTRY: country, **{f"{kind}_token": token(key, kind, value) for kind, value in values.items()}}


@lru_cache(maxsize=1)
def _key(secret_arn: str) -> bytes:
    """The key, read once by each worker: it never changes."""
    return secret_value("the key of tokens", secret_arn, "key").encode()
