"""Bring a job's code from S3 into its folder, as the job's own role."""

from __future__ import annotations

import hashlib
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from local.emr.parameters import SparkSubmit

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client


class StagingError(Exception):
    """The job's code could not be brought here; the message names the object."""


@dataclass(frozen=True, kw_only=True)
class StagedJob:
    """A job's code in its folder.

    Attributes:
        entry_point: the Python file to run.
        working_folder: the driver's working directory; archives lie there under their names.
        python_path: absolute entries, strongest first: the PYTHONPATH of the settings, then --py-files.
        environment: of the driver, its PYTHONPATH left out.
        worker_environment: of the Python workers, PYTHONPATH absolute.
    """

    entry_point: Path
    working_folder: Path
    python_path: tuple[str, ...]
    environment: Mapping[str, str]
    worker_environment: Mapping[str, str]


def stage(submit: SparkSubmit, *, folder: Path, cache: Path, s3: S3Client) -> StagedJob:
    """Lay out a job under `folder`; objects and unpacked archives are kept in `cache` by their ETag.

    Raises:
        StagingError: an object is missing, forbidden, or no archive.
    """
    work = folder / "work"
    code = folder / "code"
    for path in (work, code):
        path.mkdir(parents=True, exist_ok=True)
    store = _Cache(cache, s3)
    entry = _link(store.file(submit.entry_point), code)
    py_files = [_link(store.file(uri), folder / "py-files") for uri in submit.py_files]
    for uri in submit.files:
        _link(store.file(uri), work)
    for uri, name in submit.archives:
        (work / name).symlink_to(store.unpacked(uri))
    libraries = [str(path.parent if path.suffix == ".py" else path) for path in py_files]
    driver, worker = (
        _absolute(environment.get("PYTHONPATH", ""), work) for environment in (submit.driver_env, submit.worker_env)
    )
    return StagedJob(
        entry_point=entry,
        working_folder=work,
        python_path=(*driver, *libraries),
        environment={name: value for name, value in submit.driver_env.items() if name != "PYTHONPATH"},
        worker_environment={**submit.worker_env, "PYTHONPATH": ":".join((*worker, *libraries))},
    )


def _absolute(python_path: str, work: Path) -> list[str]:
    """Entries relative to the working directory made absolute: Python workers run elsewhere."""
    return [str(work / entry) for entry in python_path.split(":") if entry]


def _link(source: Path, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    link = folder / source.name
    link.unlink(missing_ok=True)
    link.symlink_to(source)
    return link


class _Cache:
    """Objects by bucket, key and ETag. Each is looked up with the role of the job, so a hit is no way round IAM."""

    def __init__(self, folder: Path, s3: S3Client) -> None:
        self.folder = folder
        self.s3 = s3

    def file(self, uri: str) -> Path:
        """The object as a local file that keeps its name."""
        scheme, _, place = uri.partition("://")
        bucket, _, key = place.partition("/")
        if scheme not in ("s3", "s3a") or not key:
            raise StagingError(f"{uri} is not an object in S3 (s3://bucket/key)")
        try:
            etag = self.s3.head_object(Bucket=bucket, Key=key)["ETag"]
            name = hashlib.sha256(f"{bucket}/{key}/{etag}".encode()).hexdigest()[:32]
            path = self.folder / name / key.rsplit("/", 1)[-1]
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as partial:
                    self.s3.download_fileobj(bucket, key, partial)
                Path(partial.name).rename(path)
        except ClientError as error:
            answer = error.response["Error"]
            raise StagingError(f"{uri}: {answer.get('Code')} {answer.get('Message')} for the job's role") from error
        return path

    def unpacked(self, uri: str) -> Path:
        """The archive's content as a folder."""
        archive = self.file(uri)
        folder = archive.parent / "unpacked"
        if folder.is_dir():
            return folder
        partial = Path(tempfile.mkdtemp(dir=archive.parent))
        try:
            if zipfile.is_zipfile(archive):
                with zipfile.ZipFile(archive) as zipped:
                    zipped.extractall(partial)  # noqa: S202  # zipfile keeps it inside
            else:
                with tarfile.open(archive) as packed:
                    packed.extractall(partial, filter="tar")  # the filter keeps it inside
        except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError) as error:
            shutil.rmtree(partial, ignore_errors=True)
            raise StagingError(f"{uri} cannot be unpacked: {error}") from error
        partial.chmod(0o755)
        partial.rename(folder)
        return folder
