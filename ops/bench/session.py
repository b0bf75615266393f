"""A Spark of the bench's own, with the settings that the laptop's jobs get."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from pyspark.sql import SparkSession

from local.emr.spark_settings import LOOPBACK, spark_settings
from ops.package import ROOT

JARS = ROOT / "build" / "jars"


def new_session(scratch: Path, *, driver_memory: str, **more: str) -> SparkSession:
    """A session on two cores; `more` are settings by their names, dots written as two underscores."""
    os.environ |= {"SPARK_LOCAL_IP": LOOPBACK, "PYSPARK_PYTHON": sys.executable, "TZ": "UTC"}
    time.tzset()  # rows come back in local time
    settings = spark_settings(
        jars=JARS, scratch=scratch, endpoint_url="http://localhost", region="eu-west-1", driver_memory=driver_memory
    )
    settings |= {name.replace("__", "."): value for name, value in more.items()}
    builder = SparkSession.builder.master("local[2]").appName("assay bench")
    for name, value in settings.items():
        if not name.startswith("spark.hadoop."):  # S3's: a folder needs none
            builder = builder.config(name, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark
