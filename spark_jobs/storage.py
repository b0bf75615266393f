"""Objects of the lake by key, whether it is a bucket or, in tests, a folder."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from contracts.errors import InvalidRequestError, SourceUnavailableError

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

_MISSING = ("NoSuchKey", "404", "NotFound")


@dataclass(frozen=True, kw_only=True)
class Head:
    """The first bytes of an object, its whole size, and its entity tag (None in a folder)."""

    data: bytes
    size: int
    etag: str | None


class Store(Protocol):
    """What the jobs do with objects outside Spark."""

    @property
    def root(self) -> str:
        """Where the store is, as Spark spells it."""

    def get(self, key: str) -> bytes | None:
        """The object's bytes; None when there is no such object."""

    def head(self, key: str, limit: int) -> Head | None:
        """The object's first bytes; None when there is no such object."""

    def put(self, key: str, data: bytes) -> None:
        """Write the object."""

    def copy(self, key: str, to: str) -> None:
        """Copy an object within the store."""

    def names(self, folder: str) -> list[str]:
        """The names of the objects right under a folder."""

    def options(self) -> dict[str, str]:
        """What delta-rs must be told to reach the store; it holds credentials, so it is never written anywhere."""


class S3Store:
    """A bucket."""

    def __init__(self, bucket: str) -> None:
        import boto3  # not needed by tests on a folder, and a second to import

        self._s3: S3Client = boto3.client("s3")
        self._bucket = bucket

    @property
    def root(self) -> str:
        """The bucket as Spark spells it."""
        return f"s3://{self._bucket}"

    def get(self, key: str) -> bytes | None:
        """The object's bytes; None when there is no such object."""
        try:
            return self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        except self._s3.exceptions.ClientError as error:
            if error.response["Error"]["Code"] in _MISSING:
                return None
            raise

    def head(self, key: str, limit: int) -> Head | None:
        """The object's first bytes, read with its size and entity tag in one request."""
        try:
            answer = self._s3.get_object(Bucket=self._bucket, Key=key, Range=f"bytes=0-{limit - 1}")
        except self._s3.exceptions.ClientError as error:
            code = error.response["Error"]["Code"]
            if code in _MISSING:
                return None
            if code == "InvalidRange":  # S3's answer for an empty object
                return Head(data=b"", size=0, etag=None)
            raise
        data = answer["Body"].read()
        total = answer.get("ContentRange", "").rpartition("/")[2]
        return Head(data=data, size=int(total) if total.isdigit() else len(data), etag=answer["ETag"].strip('"'))

    def put(self, key: str, data: bytes) -> None:
        """Write the object."""
        self._s3.put_object(Bucket=self._bucket, Key=key, Body=data)

    def copy(self, key: str, to: str) -> None:
        """Copy an object within the bucket, a large one in parts."""
        self._s3.copy({"Bucket": self._bucket, "Key": key}, self._bucket, to)

    def names(self, folder: str) -> list[str]:
        """The names of the objects right under a folder."""
        prefix = folder.rstrip("/") + "/"
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix, Delimiter="/")
        return [item["Key"].removeprefix(prefix) for page in pages for item in page.get("Contents", [])]

    def options(self) -> dict[str, str]:
        """The bucket's endpoint and the job role's credentials, as this process has them now.

        They are handed over because delta-rs knows fewer places to find them than boto3, not that of a job run of EMR
        Serverless among them.

        Source: https://delta-io.github.io/delta-rs/integrations/object-storage/s3/
        """
        import boto3

        held = boto3.Session().get_credentials()
        if held is None:
            raise SourceUnavailableError(f"s3://{self._bucket}: there are no AWS credentials")
        credentials, meta = held.get_frozen_credentials(), self._s3.meta
        options: dict[str, str] = {
            "AWS_REGION": meta.region_name or "",
            "AWS_ENDPOINT_URL": meta.endpoint_url,
            "AWS_ALLOW_HTTP": str(meta.endpoint_url.startswith("http://")).lower(),
            "AWS_ACCESS_KEY_ID": credentials.access_key or "",
            "AWS_SECRET_ACCESS_KEY": credentials.secret_key or "",
            # S3 itself lets one of two writers of the same version win, so no lock is needed
            "AWS_CONDITIONAL_PUT": "etag",
        }
        return options | ({"AWS_SESSION_TOKEN": credentials.token} if credentials.token else {})


class FolderStore:
    """A folder that stands for a bucket."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def root(self) -> str:
        """The folder as Spark spells it."""
        return str(self._folder)

    def get(self, key: str) -> bytes | None:
        """The file's bytes; None when there is no such file."""
        path = self._folder / key
        return path.read_bytes() if path.is_file() else None

    def head(self, key: str, limit: int) -> Head | None:
        """The file's first bytes."""
        data = self.get(key)
        return None if data is None else Head(data=data[:limit], size=len(data), etag=None)

    def put(self, key: str, data: bytes) -> None:
        """Write the file."""
        path = self._folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def copy(self, key: str, to: str) -> None:
        """Copy a file."""
        path = self._folder / to
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self._folder / key, path)

    def names(self, folder: str) -> list[str]:
        """The names of the files right under a folder."""
        path = self._folder / folder
        return [each.name for each in path.iterdir() if each.is_file()] if path.is_dir() else []

    def options(self) -> dict[str, str]:
        """Nothing: a folder asks for no credentials."""
        return {}


def store_at(root: str) -> Store:
    """The store at `s3://bucket` or at an absolute folder."""
    if root.startswith("s3://"):
        return S3Store(root.removeprefix("s3://").rstrip("/"))
    if root.startswith("/"):
        return FolderStore(Path(root))
    raise InvalidRequestError(f"{root}: not a lake; expected s3://<bucket>")


def read_uri(uri: str) -> bytes:
    """The bytes at `s3://bucket/key`, or of a file at an absolute path."""
    if uri.startswith("s3://"):
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        data = S3Store(bucket).get(key)
    else:
        data = FolderStore(Path("/")).get(uri.lstrip("/"))
    if data is None:
        raise SourceUnavailableError(f"{uri}: no such object")
    return data
