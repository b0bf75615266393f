"""The archives that AWS runs: one zip for Lambda, one zip of code and one archive of packages for Spark.

Each archive is named by a digest of what goes in: a group of the lock file, the architecture, the sources. So a
deployment never replaces a file that a running job reads, and nothing is built twice.
"""

from __future__ import annotations

import compileall
import gzip
import hashlib
import importlib.util
import io
import json
import marshal
import py_compile
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from local.once import once
from ops.errors import OpsError

ROOT = Path(__file__).resolve().parents[1]
ARTIFACTS = ROOT / "build" / "artifacts"
PLATFORMS = {"x86_64": "x86_64-manylinux_2_28", "arm64": "aarch64-manylinux_2_28"}
EPOCH = (1980, 1, 1, 0, 0, 0)  # the oldest time a zip can hold: equal content gives equal bytes


@dataclass(frozen=True, kw_only=True)
class Artifacts:
    """Keys in the code bucket of one architecture's archives; cdk reads them from `build/artifacts/<arch>.json`."""

    code_digest: str
    lambda_key: str
    spark_entry_key: str
    spark_code_key: str
    spark_deps_key: str


def build(architecture: str) -> Artifacts:
    """Build what is not there yet for `architecture` (x86_64 or arm64), under `build/artifacts/<arch>/<key>`.

    Raises:
        OpsError: unknown architecture, or a package has no wheel for it.
    Source: https://docs.aws.amazon.com/emr/latest/EMR-Serverless-UserGuide/using-python-libraries.html
    """
    if architecture not in PLATFORMS:
        raise OpsError(f"architecture {architecture!r}: not one of {', '.join(PLATFORMS)}")
    lambda_packages, spark_packages = _requirements("lambdas"), _requirements("spark")
    lambda_code = _sources("contracts", "lambdas")
    spark_code = _sources("contracts", "spark_jobs")
    code_digest = _digest(*lambda_code.values(), *spark_code.values())
    spark_digest = _digest(*spark_code.values())
    artifacts = Artifacts(
        code_digest=code_digest,
        lambda_key=f"lambda/{_digest(lambda_packages, architecture.encode(), *lambda_code.values())}.zip",
        spark_entry_key=f"spark/{spark_digest}/main.py",
        spark_code_key=f"spark/{spark_digest}/code.zip",
        spark_deps_key=f"spark/deps-{_digest(spark_packages, architecture.encode())}.tar.gz",
    )
    folder = ARTIFACTS / architecture
    once(folder / artifacts.lambda_key, lambda path: _zip(path, _packages(lambda_packages, architecture), lambda_code))
    once(folder / artifacts.spark_code_key, lambda path: _zip(path, None, spark_code))
    once(folder / artifacts.spark_deps_key, lambda path: _tar(path, _packages(spark_packages, architecture)))
    once(folder / artifacts.spark_entry_key, lambda path: path.write_bytes(spark_code["spark_jobs/main.py"]))
    (ARTIFACTS / f"{architecture}.json").write_text(json.dumps(asdict(artifacts), indent=2) + "\n")
    return artifacts


def files(architecture: str) -> dict[str, Path]:
    """The built archives of `architecture`: key in the code bucket to file.

    Raises:
        OpsError: they are not built.
    """
    path = ARTIFACTS / f"{architecture}.json"
    if not path.exists():
        raise OpsError(f"the archives for {architecture} are not built: run `make package`")
    manifest = json.loads(path.read_text())
    return {key: ARTIFACTS / architecture / key for name, key in manifest.items() if name.endswith("_key")}


def _requirements(group: str) -> bytes:
    command = [str(Path(sys.executable).with_name("uv")), "export", "--quiet", "--frozen", "--no-header"]
    command += ["--no-emit-project", "--no-annotate", "--only-group", group]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout


def _sources(*packages: str) -> dict[str, bytes]:
    """Name in the archive to content, of every source and data file of `packages`."""
    found = (path for package in packages for path in sorted((ROOT / package).rglob("*")))
    return {
        path.relative_to(ROOT).as_posix(): path.read_bytes()
        for path in found
        if path.suffix in (".py", ".json") and "__pycache__" not in path.parts
    }


def _digest(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()[:12]


def _packages(requirements: bytes, architecture: str) -> Path:
    """The folder of installed packages, which archives share."""
    folder = ARTIFACTS / architecture / f"packages-{_digest(requirements)}"
    return once(folder, lambda partial: _install(requirements, architecture, partial))


def _install(requirements: bytes, architecture: str, folder: Path) -> None:
    """Put the pinned, hash-checked wheels of another machine's architecture into a folder."""
    command = [str(Path(sys.executable).with_name("uv")), "pip", "install", "--quiet", "--target", str(folder)]
    command += ["--python-version", "3.11", "--python-platform", PLATFORMS[architecture]]
    command += ["--only-binary", ":all:", "--require-hashes", "--requirements", "-"]
    result = subprocess.run(command, cwd=ROOT, input=requirements, capture_output=True)
    if result.returncode:
        raise OpsError(f"packages for {architecture} could not be installed: {result.stderr.decode().strip()}")
    shutil.rmtree(folder / "bin", ignore_errors=True)  # console scripts name this machine's interpreter
    # Bytecode that is never checked against its source: a cold start then compiles nothing.
    hashed = py_compile.PycInvalidationMode.UNCHECKED_HASH
    compileall.compile_dir(folder, quiet=2, workers=0, stripdir=str(folder), invalidation_mode=hashed)


def _members(folder: Path | None) -> Iterable[tuple[str, Path]]:
    if folder is not None:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                yield path.relative_to(folder).as_posix(), path


def _zip(path: Path, packages: Path | None, sources: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name, member in _members(packages):
            _add(archive, name, member.read_bytes())
        for name, content in sources.items():
            _add(archive, name, content)
            if name.endswith(".py"):
                _add(archive, f"{name}c", _bytecode(name, content))


def _bytecode(name: str, source: bytes) -> bytes:
    """A module's bytecode, never checked against its source; a Python of another version takes the source.

    Source: PEP 552; Python's zipimport, which writes no bytecode of its own.
    """
    unchecked = (1).to_bytes(4, "little")
    code = compile(source, name, "exec", dont_inherit=True)
    return importlib.util.MAGIC_NUMBER + unchecked + importlib.util.source_hash(source) + marshal.dumps(code)


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    info = zipfile.ZipInfo(name, EPOCH)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = 0o644 << 16
    archive.writestr(info, content)


def _tar(path: Path, packages: Path) -> None:
    with (
        path.open("wb") as raw,
        gzip.GzipFile("", "wb", compresslevel=1, fileobj=raw, mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w") as archive,
    ):
        for name, member in _members(packages):
            info = tarfile.TarInfo(name)
            content = member.read_bytes()
            info.size, info.mode = len(content), 0o755 if member.suffix == ".so" or ".so." in member.name else 0o644
            archive.addfile(info, io.BytesIO(content))


def main() -> None:
    """Build the archives of the architectures named as arguments and print their keys and sizes."""
    for architecture in sys.argv[1:] or PLATFORMS:
        build(architecture)
        for key, path in files(architecture).items():
            print(f"{architecture:8} {path.stat().st_size / 1e6:8.1f} MB  {key}")


if __name__ == "__main__":
    main()
