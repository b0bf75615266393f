"""JSON objects in the lake: requests, receipts, summaries."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from contracts.errors import ReceiptMissingError, SourceUnavailableError
from lambdas.aws import error_code
from lambdas.payloads import Json

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client


class Lake:
    """The lake bucket's small JSON objects."""

    def __init__(self, client: S3Client, bucket: str) -> None:
        self._client = client
        self.bucket = bucket

    def read(self, key: str) -> Json | None:
        """The object, or None when there is none, or none that is a JSON object."""
        try:
            body = self._client.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        except ClientError as error:
            if error_code(error) in {"NoSuchKey", "404"} or (_is_denied(error) and self._is_absent(key)):
                return None
            raise
        try:
            value = json.loads(body)
        except ValueError:
            return None
        return value if isinstance(value, dict) else None

    def _is_absent(self, key: str) -> bool:
        # A role that may list some prefixes only is told 403, not 404, of an object that is not there.
        found = self._client.list_objects_v2(Bucket=self.bucket, Prefix=key, MaxKeys=1).get("Contents", [])
        return all(each["Key"] != key for each in found)

    def create(self, key: str, value: Mapping[str, Any]) -> Json:
        """Write an object once; the first writer wins.

        Returns:
            What lies there now: a crash and a retry must not change what a job may already have read.
        Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
        """
        body = json.dumps(value, indent=1).encode()
        try:
            self._client.put_object(
                Bucket=self.bucket, Key=key, Body=body, ContentType="application/json", IfNoneMatch="*"
            )
        except ClientError as error:
            if error_code(error) not in {"PreconditionFailed", "ConditionalRequestConflict", "412", "409"}:
                raise
            found = self.read(key)
            if found is None:
                raise SourceUnavailableError(f"{key}: written by another at the same moment; ask again") from error
            return found
        return dict(value)

    def receipts(self, keys: Iterable[str]) -> list[Json]:
        """The receipts at those keys, in their order.

        Raises:
            ReceiptMissingError: one is not there.
        """
        found = []
        for key in keys:
            receipt = self.read(key)
            if receipt is None:
                raise ReceiptMissingError(
                    f"{key}: no receipt; it was there when its step ended, see the bucket's versions"
                )
            found.append(receipt)
        return found


def _is_denied(error: ClientError) -> bool:
    return error_code(error) in {"AccessDenied", "403"}
