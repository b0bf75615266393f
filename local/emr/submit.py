"""Run a job under real spark-submit, with the parameters of StartJobRun.

Warm Spark never proves the packaging: the checkout is at hand there. Here the job sees what EMR's image
brings and what the job ships, nothing else.
"""

from __future__ import annotations

import importlib.util
import shlex
import subprocess
import sys
import venv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from local.emr.jars import spark_home
from local.emr.parameters import read_spark_submit
from local.emr.spark_settings import (
    aws_environment,
    base_environment,
    s3a_credentials,
    spark_settings,
)
from local.emr.staging import stage

# Packages of the image emr-spark-8.1.0 that the job must not ship.
IMAGE_PACKAGES = ("pyspark", "py4j", "delta", "importlib_metadata", "zipp")


def run_with_spark_submit(
    request: Mapping[str, Any],
    *,
    credentials: dict[str, str],
    endpoint_url: str,
    region: str,
    jars: Path,
    folder: Path,
    driver_memory: str = "2g",
    timeout_seconds: float = 300,
) -> subprocess.CompletedProcess[str]:
    """Run the job to its end.

    Spark fetches the entry point, --py-files and --archives over S3A and unpacks the archives for its workers. EMR also
    unpacks them in the driver's working directory, which Spark's local master does not; that is done here.

    Args:
        request: what StartJobRun is told; jobDriver and configurationOverrides count.
        credentials: of the job's role, as keyword arguments of `boto3.client`.
        endpoint_url: the embedded AWS.
        region: the region of the embedded AWS.
        jars: the folder of `local.emr.jars`.
        folder: an empty folder for the job.
        driver_memory: the heap of Spark's JVM.
        timeout_seconds: after which the process is killed (subprocess.TimeoutExpired).
    """
    job_driver = request["jobDriver"]
    overrides = (request.get("configurationOverrides") or {}).get("applicationConfiguration") or []
    submit = read_spark_submit(job_driver, overrides)
    as_role: Any = credentials
    s3 = boto3.client(
        "s3",
        endpoint_url=endpoint_url,
        region_name=region,
        config=Config(s3={"addressing_style": "path"}),
        **as_role,
    )
    staged = stage(submit, folder=folder, cache=folder / "cache", s3=s3)
    python = image_python(folder / "image")
    scratch = folder / "scratch"
    conf = folder / "conf"
    for path in (scratch, conf):
        path.mkdir(parents=True, exist_ok=True)
    settings = spark_settings(
        jars=jars, scratch=scratch, endpoint_url=endpoint_url, region=region, driver_memory=driver_memory
    )
    role = {f"spark.hadoop.{name}": value for name, value in s3a_credentials(credentials).items()}
    defaults = {name: value for default in overrides for name, value in (default.get("properties") or {}).items()}
    command = [str(spark_home() / "bin" / "spark-submit"), "--master", "local[2]"]
    for name, value in {**settings, **role, **defaults}.items():
        command += ["--conf", f"{name}={value}"]
    spark_submit = job_driver["sparkSubmit"]
    command += shlex.split(spark_submit.get("sparkSubmitParameters") or "")
    command += [spark_submit["entryPoint"], *(spark_submit.get("entryPointArguments") or [])]
    environment = {
        **base_environment(),
        **aws_environment(credentials, endpoint_url, region),
        **submit.driver_env,
        "SPARK_CONF_DIR": str(conf),
        "PYSPARK_PYTHON": str(python),
        "PYSPARK_DRIVER_PYTHON": str(python),
    }
    return subprocess.run(
        command,
        cwd=staged.working_folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout_seconds,
        check=False,
    )


def image_python(folder: Path) -> Path:
    """A Python with the packages of EMR's image and no others."""
    venv.create(folder, with_pip=False, clear=True)
    packages = folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    for name in IMAGE_PACKAGES:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin is not None:
            source = Path(spec.origin)
            source = source.parent if source.name == "__init__.py" else source
            (packages / source.name).symlink_to(source)
    return folder / "bin" / "python"
