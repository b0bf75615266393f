"""Spark's classes, read and linked once: an archive that every later JVM maps into its memory.

The jobs of a first load make the JVM load 35,000 classes from 340 jars. With the archive, which holds those that a
short rehearsal needs, it takes a sixth less CPU. A JVM that it does not fit, of another Java or with other jars, starts
without it.

Source: Java 17, java(1), "Class Data Sharing", -XX:ArchiveClassesAtExit.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
from pathlib import Path
from string import Template

from local.emr.spark_jvm import SparkJvm, SparkJvmError
from local.emr.spark_settings import LOOPBACK, class_archive, spark_settings

REHEARSAL = Path(__file__).with_name("rehearsal.sql")
WRITE_SECONDS = 300
NOWHERE = f"http://{LOOPBACK}:9"  # the port of discard, where nothing listens


def write(jars: Path) -> Path:
    """Write the archive for Spark with the jars of `local.emr.jars`, anew.

    Raises:
        SparkJvmError: Spark does not start, or wrote none; why is in the message.
    """
    archive = class_archive(jars)
    archive.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="assay-rehearsal-") as name:
        folder = Path(name)
        settings = spark_settings(
            jars=jars, scratch=folder / "scratch", endpoint_url=NOWHERE, region="eu-west-1", driver_memory="1g"
        )
        settings |= {"spark.hadoop.fs.s3a.attempts.maximum": "1", "spark.hadoop.fs.s3a.retry.limit": "0"}
        written = folder / archive.name
        settings["spark.driver.extraJavaOptions"] += f" -XX:ArchiveClassesAtExit={written} -Xlog:disable"
        jvm = SparkJvm(settings=settings, jars=jars, folder=folder, log=folder / "spark.log")
        try:
            jvm.boot()
            jvm.warm_up(folder / "scratch", wanted=lambda: True)
            rehearsal = Template(REHEARSAL.read_text(encoding="utf-8")).substitute(folder=folder / "rows")
            for statement in rehearsal.strip().removesuffix(";").split(";\n"):
                jvm.sql(statement)
            with contextlib.suppress(SparkJvmError):  # S3's client, as far as it comes
                jvm.sql("select * from parquet.`s3a://nowhere/rows`")
        finally:
            jvm.stop(seconds=WRITE_SECONDS)
        if not written.is_file():
            raise SparkJvmError((folder / "spark.log").read_text(encoding="utf-8", errors="replace")[-1000:])
        shutil.move(written, archive)
    return archive


def main(arguments: list[str]) -> int:
    """Write the archive of the jars in the folder named; without one, Spark starts slower and does the same."""
    if len(arguments) != 1:
        print("usage: python -m local.emr.class_archive FOLDER", file=sys.stderr)
        return 2
    try:
        archive = write(Path(arguments[0]))
    except (SparkJvmError, OSError) as error:
        print(f"class archive: none, so Spark will start slower: {error}", file=sys.stderr)
        return 0
    print(f"class archive: {archive.stat().st_size / 1_000_000:.0f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
