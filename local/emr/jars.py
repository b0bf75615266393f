"""Fetch the jars that Spark needs beside pyspark's own: `python -m local.emr.jars build/jars`.

`local/jars/ivy.xml` names every jar with its version and `local/jars/sha256.txt` its digest; the Ivy inside pyspark
fetches them from Maven Central, or from the mirror in ASSAY_MAVEN_MIRROR, into a cache of the project's own.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

DEFINITION = Path(__file__).parent.parent / "jars"
STAMP = ".resolved"
JAVA_HELP = "install Java 17 (Debian, Ubuntu: apt-get install openjdk-17-jre-headless; macOS: brew install openjdk@17)"


class JarsError(Exception):
    """The jars could not be fetched; the message says why and what to do."""


def spark_home() -> Path:
    """The Spark inside the pyspark package, found without its import."""
    [folder] = importlib.util.find_spec("pyspark").submodule_search_locations  # type: ignore[union-attr, misc]
    return Path(folder)


def lean_spark_home(jars: Path) -> Path:
    """The same Spark, without the zipped copy of pyspark that every Python process would begin with.

    The installed package has bytecode and the zip has none: three to four processes, which a Python data source starts,
    take a second and a half with it and three seconds without. It has no `conf`, which would be on the class path.

    Args:
        jars: the folder that `resolve` filled; the class archive fits what is at this place only.

    Source: Spark 4.1.1, PythonUtils.sparkPythonPath, AbstractCommandBuilder.buildClassPath.
    """
    return jars.resolve() / "spark"


def _link_spark(jars: Path) -> None:
    home = lean_spark_home(jars)
    home.mkdir(exist_ok=True)
    for name in ("bin", "jars"):
        link, target = home / name, spark_home() / name
        if not link.is_symlink() or link.readlink() != target:
            link.unlink(missing_ok=True)
            link.symlink_to(target)


def java_executable() -> str:
    """The `java` that JAVA_HOME or the PATH names.

    Raises:
        JarsError: there is none.
    """
    home = os.environ.get("JAVA_HOME")
    java = shutil.which(str(Path(home) / "bin" / "java") if home else "java")
    if java is None:
        where = f"JAVA_HOME={home} has no bin/java" if home else "there is no java on the PATH"
        raise JarsError(f"{where}; {JAVA_HELP}")
    return java


def definition_digest() -> str:
    """A digest of everything that decides which jars there are."""
    digest = hashlib.sha256()
    for name in ("ivy.xml", "sha256.txt"):
        digest.update((DEFINITION / name).read_bytes())
    return digest.hexdigest()


def expected_digests() -> dict[str, str]:
    """File name to SHA-256 of each jar."""
    lines = (DEFINITION / "sha256.txt").read_text(encoding="utf-8").splitlines()
    return {name: digest for digest, name in (line.split() for line in lines if line)}


def resolve(folder: Path) -> list[Path]:
    """Make `folder` hold exactly the pinned jars, and a Spark for them; does nothing when it does already.

    Raises:
        JarsError: no Java, no network, or a jar that is not the pinned one.
    """
    expected = expected_digests()
    jars = [folder / name for name in sorted(expected)]
    stamp = folder / STAMP
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == definition_digest() and all(map(Path.is_file, jars)):
        _link_spark(folder)
        return jars
    folder.mkdir(parents=True, exist_ok=True)
    stamp.unlink(missing_ok=True)
    _retrieve(folder)
    for jar in jars:
        if not jar.is_file():
            raise JarsError(f"{jar.name} was not fetched; remove {_cache_folder()} and run this again")
        if hashlib.sha256(jar.read_bytes()).hexdigest() != expected[jar.name]:
            jar.unlink()
            raise JarsError(
                f"{jar.name} is not the pinned jar (its SHA-256 differs from local/jars/sha256.txt); "
                f"remove {_cache_folder()}, check ASSAY_MAVEN_MIRROR, and run this again"
            )
    _link_spark(folder)
    stamp.write_text(definition_digest(), encoding="utf-8")
    return jars


def _cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "assay" / "ivy"


def _retrieve(folder: Path) -> None:
    mirror = os.environ.get("ASSAY_MAVEN_MIRROR", "")
    properties = {
        "assay.ivy.cache": _cache_folder(),
        # Ivy's other default folder, or it would make ~/.ivy2.
        "ivy.default.ivy.user.dir": _cache_folder(),
        "assay.resolver": "mirror" if mirror else "central",
        "maven.mirror": mirror,
    }
    command = [
        java_executable(),
        *(f"-D{name}={value}" for name, value in properties.items()),
        *("-cp", str(spark_home() / "jars" / "*")),
        "org.apache.ivy.Main",
        *("-settings", str(DEFINITION / "ivysettings.xml")),
        *("-ivy", str(DEFINITION / "ivy.xml")),
        *("-retrieve", f"{folder.resolve()}/[artifact]-[revision].[ext]"),
        *("-types", "jar", "-sync", "-warn"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        failed = next((line for line in lines if "not found" in line.lower() or "error" in line.lower()), "")
        raise JarsError(
            f"the jars for Spark could not be fetched from {mirror or 'Maven Central'} "
            f"({failed.strip(': ') or 'Ivy failed'}); check the network, or set ASSAY_MAVEN_MIRROR to a mirror"
        )


def main(arguments: list[str]) -> int:
    """Resolve into the folder named; say how much that is."""
    if len(arguments) != 1:
        print("usage: python -m local.emr.jars FOLDER", file=sys.stderr)
        return 2
    try:
        jars = resolve(Path(arguments[0]))
    except (JarsError, OSError) as error:
        print(f"jars: {error}", file=sys.stderr)
        return 1
    megabytes = sum(jar.stat().st_size for jar in jars) / 1_000_000
    print(f"jars: {len(jars)} jars, {megabytes:.1f} MB in {arguments[0]}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
