"""Judge the heads of landed files, before a cluster is paid for."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from contracts import packing
from contracts.contract import Contract
from contracts.errors import SourceUnavailableError
from contracts.landing import read_head
from lambdas.arrivals import Landed
from lambdas.aws import error_code

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

HEAD_BYTES = 256 * 1024


def judge(s3: S3Client, bucket: str, contract: Contract, landed: Landed, data_date: date) -> int:
    """The number of rows in a file's head, all of which keep the contract.

    Raises:
        ContractViolationError: the first rule broken, with dataset, column, rule and line.
        SourceUnavailableError: the file changed, or went away, since it was listed.
    """
    if packing.is_packed(landed.key):
        packing.check_size(contract, landed.key, landed.size)
        content = packing.unpacked(contract, landed.key, head(s3, bucket, landed, packing.LARGEST_PACKED))
        data, truncated = content[:HEAD_BYTES], len(content) > HEAD_BYTES
    else:
        data = head(s3, bucket, landed)
        truncated = landed.size > len(data)
    return len(read_head(contract, landed.key, data, truncated, data_date))


def head(s3: S3Client, bucket: str, landed: Landed, limit: int = HEAD_BYTES) -> bytes:
    """The first bytes of exactly the version that was listed."""
    if landed.size == 0:
        return b""  # S3 refuses any range of an empty object
    try:
        answer = s3.get_object(Bucket=bucket, Key=landed.key, Range=f"bytes=0-{limit - 1}", IfMatch=f'"{landed.etag}"')
    except ClientError as error:
        if error_code(error) in {"PreconditionFailed", "NoSuchKey", "412", "404"}:
            raise SourceUnavailableError(f"{landed.key}: changed since it was listed; it is listed again") from error
        raise
    return answer["Body"].read()
