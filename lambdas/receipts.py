"""JSON objects in the lake: requests, receipts, summaries."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from contracts.errors import ReceiptMissingError
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
            if error_code(error) in {"NoSuchKey", "404"}:
                return None
            raise
        try:
            value = json.loads(body)
        except ValueError:
            return None
        return value if isinstance(value, dict) else None

    def create(self, key: str, value: Mapping[str, Any]) -> Json:
        """Write an object once; the first writer wins.

        Returns:
            What lies there now: a crash and a retry must not change what a job may already have read.
        """
        found = self.read(key)
        if found is not None:
            return found
        body = json.dumps(value, indent=1).encode()
        try:
            self._client.put_object(
                Bucket=self.bucket, Key=key, Body=body, ContentType="application/json", IfNoneMatch="*"
            )
        except ClientError as error:
            if error_code(error) not in {"PreconditionFailed", "ConditionalRequestConflict", "412", "409"}:
                raise
            return self.read(key) or dict(value)
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
