"""The archives that AWS runs, held to what they must and must not carry."""

import tarfile
import zipfile

import pytest

from ops import package
from ops.errors import OpsError

# e_machine of an ELF header. Source: System V ABI, ELF header.
MACHINES = {"x86_64": 62, "arm64": 183}


@pytest.fixture(scope="module", params=MACHINES)
def built(request):
    artifacts = package.build(request.param)
    return request.param, artifacts, package.files(request.param)


def members(path):
    """Name to the first bytes of each member of a zip or a tar, enough for an ELF header."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            return {name: archive.open(name).read(20) for name in archive.namelist()}
    with tarfile.open(path) as archive:
        return {info.name: archive.extractfile(info).read(20) for info in archive}


@pytest.mark.parametrize("part", ["lambda_key", "spark_deps_key"])
def test_native_code_is_of_the_architecture(built, part):
    architecture, artifacts, files = built
    headers = members(files[getattr(artifacts, part)])
    libraries = {name: header for name, header in headers.items() if name.endswith(".so") or ".so." in name}
    assert any(name.startswith("rpds/") for name in libraries)
    found = {int.from_bytes(header[18:20], "little") for header in libraries.values() if header[:4] == b"\x7fELF"}
    assert found == {MACHINES[architecture]}


def test_no_archive_carries_what_its_runtime_brings_or_another_room(built):
    _, artifacts, files = built
    lambda_names = set(members(files[artifacts.lambda_key]))
    assert not [name for name in lambda_names if name.startswith(("pyspark/", "delta/", "spark_jobs/", "snowflake/"))]
    assert {"lambdas/open_run.py", "contracts/errors.py"} <= lambda_names
    spark_names = set(members(files[artifacts.spark_deps_key])) | set(members(files[artifacts.spark_code_key]))
    assert not [name for name in spark_names if name.startswith(("pyspark/", "delta/", "lambdas/"))]
    assert {"spark_jobs/main.py", "contracts/errors.py", "pyarrow/__init__.py", "deltalake/__init__.py"} <= spark_names


def test_every_contract_is_in_the_code_of_both(built):
    _, artifacts, files = built
    schemas = {path.relative_to(package.ROOT).as_posix() for path in (package.ROOT / "contracts").rglob("*.json")}
    for key in (artifacts.lambda_key, artifacts.spark_code_key):
        assert schemas <= set(members(files[key]))


def test_an_unknown_architecture_is_refused():
    with pytest.raises(OpsError, match="mips"):
        package.build("mips")
