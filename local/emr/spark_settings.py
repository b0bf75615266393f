"""The settings that stand for EMR's image: the JVM's flags, Spark's defaults, and the environment of a driver."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from local.emr.jars import spark_home

LOOPBACK = "127.0.0.1"

# What a job inherits of the user's environment. Nothing else: a job must not see the user's AWS keys or Python path.
INHERITED = (
    *("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TMPDIR", "JAVA_HOME"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    *("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"),
)

# C1 alone: short jobs never earn back what C2 spends on two cores (42 s of CPU against 73 s for three Delta merges).
# The code cache that comes with C1 alone is 48 MB; Spark fills it within a day's jobs, and then the JVM sweeps and
# compiles again. Jars of pinned digests need no bytecode verification. Metaspace that starts small is grown by whole
# collections.
JAVA_OPTIONS = (
    "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m -XX:MetaspaceSize=512m "
    "-XX:+UnlockDiagnosticVMOptions -XX:-BytecodeVerificationRemote -XX:+UseParallelGC -Xss4m -Duser.timezone=UTC"
)

# The plans of jobs that have ended, which nobody can look at without the UI, would fill the heap.
# Nor is a plan written out in full for it, or the JVM told the line of Python that made each expression.
FORGETFUL = {
    "spark.sql.ui.retainedExecutions": "5",
    "spark.ui.retainedJobs": "5",
    "spark.ui.retainedStages": "5",
    "spark.sql.ui.explainMode": "simple",
    "spark.python.sql.dataFrameDebugging.enabled": "false",
}

S3A = "org.apache.hadoop.fs.s3a"


def class_archive(jars: Path) -> Path:
    """Where the archive of Spark's classes is, beside the jars that it was made of."""
    return jars.resolve() / "classes.jsa"


def java_options(jars: Path) -> str:
    """The flags of a JVM with Spark and the jars of `local.emr.jars`."""
    archive = class_archive(jars)
    if not archive.is_file():
        return JAVA_OPTIONS
    # a JVM that it does not fit says so on standard output, among what a job prints
    return f"{JAVA_OPTIONS} -XX:SharedArchiveFile={archive} -Xlog:cds=off -Xlog:cds+dynamic=off"


def base_environment() -> dict[str, str]:
    """What every process of Spark starts from."""
    kept = {name: os.environ[name] for name in INHERITED if name in os.environ}
    return {
        **kept,
        "TZ": "UTC",
        "NO_PROXY": f"{LOOPBACK},localhost",
        "no_proxy": f"{LOOPBACK},localhost",
        "SPARK_HOME": str(spark_home()),
        "SPARK_LOCAL_IP": LOOPBACK,
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
    }


def aws_environment(credentials: dict[str, str], endpoint_url: str, region: str) -> dict[str, str]:
    """What boto3 reads in a driver and in its Python workers.

    Args:
        credentials: keyword arguments of `boto3.client`; an empty session token means a long-lived key.
        endpoint_url: the embedded AWS.
        region: the region of the application.
    """
    environment = {
        "AWS_ACCESS_KEY_ID": credentials["aws_access_key_id"],
        "AWS_SECRET_ACCESS_KEY": credentials["aws_secret_access_key"],
        "AWS_SESSION_TOKEN": credentials.get("aws_session_token", ""),
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_EC2_METADATA_DISABLED": "true",
        # The user's own profiles must not reach a job.
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
    return {name: value for name, value in environment.items() if value}


def s3a_credentials(credentials: dict[str, str]) -> dict[str, str]:
    """Hadoop settings that make S3A act as the role."""
    settings = {
        "fs.s3a.access.key": credentials["aws_access_key_id"],
        "fs.s3a.secret.key": credentials["aws_secret_access_key"],
    }
    token = credentials.get("aws_session_token", "")
    if not token:
        return {**settings, "fs.s3a.aws.credentials.provider": f"{S3A}.SimpleAWSCredentialsProvider"}
    return {
        **settings,
        "fs.s3a.session.token": token,
        "fs.s3a.aws.credentials.provider": f"{S3A}.TemporaryAWSCredentialsProvider",
    }


def spark_settings(*, jars: Path, scratch: Path, endpoint_url: str, region: str, driver_memory: str) -> dict[str, str]:
    """Spark's settings, as `--conf` of spark-submit.

    Args:
        jars: the folder of `local.emr.jars`; on the class path from the start, so that no session resolves anything.
        scratch: a folder for shuffle files, the warehouse and S3A's buffers.
        endpoint_url: the embedded AWS.
        region: the region of the embedded AWS.
        driver_memory: the JVM's heap, such as 2g.
    """
    return {
        "spark.driver.memory": driver_memory,
        "spark.driver.extraClassPath": f"{jars.resolve()}/*",
        "spark.driver.extraJavaOptions": java_options(jars),
        "spark.driver.host": LOOPBACK,
        "spark.driver.bindAddress": LOOPBACK,
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        **FORGETFUL,
        "spark.local.dir": str(scratch),
        "spark.sql.warehouse.dir": str(scratch / "warehouse"),
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        # A laptop's sizes; a job's own --conf overrides them.
        "spark.sql.shuffle.partitions": "2",
        "spark.databricks.delta.snapshotPartitions": "2",
        # Jobs come one after another, each with its own Python path: a class loader of its own, which asks the driver
        # over the network for every class that there is not, is of no use.
        "spark.sql.artifact.isolation.enabled": "false",
        "spark.hadoop.hadoop.tmp.dir": str(scratch / "hadoop"),
        "spark.hadoop.fs.s3.impl": f"{S3A}.S3AFileSystem",
        "spark.hadoop.fs.AbstractFileSystem.s3.impl": f"{S3A}.S3A",
        "spark.hadoop.fs.s3a.endpoint": endpoint_url,
        "spark.hadoop.fs.s3a.endpoint.region": region,
        "spark.hadoop.fs.s3a.path.style.access": "true",
        "spark.hadoop.fs.s3a.connection.ssl.enabled": str(endpoint_url.startswith("https:")).lower(),
        "spark.hadoop.fs.s3a.bucket.probe": "0",
        # One attempt writes to a folder and reads it once it is whole, so nobody asks who else is in it, and files may
        # come into it one by one.
        # Source: Hadoop 3.4.2, "Maximizing Performance when working with the S3A Connector", "S3A performance flags".
        "spark.hadoop.fs.s3a.performance.flags": "*",
        "spark.hadoop.mapreduce.fileoutputcommitter.algorithm.version": "2",
        "spark.hadoop.mapreduce.fileoutputcommitter.marksuccessfuljobs": "false",
    }
