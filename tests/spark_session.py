"""One local Spark with Delta for all tests that need one; it lives as long as the test process."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from local.emr.jars import lean_spark_home
from local.emr.spark_settings import FORGETFUL, java_options

# py4j drops sockets for the collector to close, whenever that runs
quiet = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
JARS = Path(__file__).parents[1] / "build" / "jars"


@pytest.fixture(scope="session")
def spark() -> SparkSession:
    """The session of this test process."""
    return new_session()


def new_session(**more: str) -> SparkSession:
    """A session with the settings that a job run relies on and `more`, and as few threads as a laptop has cores."""
    if not any(JARS.glob("delta-spark*.jar")):
        pytest.fail(f"Spark's jars are not in {JARS}: run `make setup`")
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ["SPARK_HOME"] = str(lean_spark_home(JARS))
    os.environ["TZ"] = "UTC"  # rows come back in local time
    time.tzset()
    builder = SparkSession.builder.master("local[2]").appName("assay tests")
    for name, value in {
        "spark.driver.extraClassPath": f"{JARS}/*",
        "spark.driver.memory": "2g",
        "spark.driver.extraJavaOptions": java_options(JARS),
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.sql.shuffle.partitions": "2",
        "spark.databricks.delta.snapshotPartitions": "1",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.ansi.enabled": "true",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        **FORGETFUL,
        **more,
    }.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    return session
