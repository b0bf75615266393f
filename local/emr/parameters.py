"""Read what StartJobRun says to spark-submit.

Source: AWS, EMR Serverless User Guide, "Spark jobs" (sparkSubmitParameters, job properties); Spark 4.1.1,
"Submitting Applications".
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

# Options of spark-submit that are settings by another name.
AS_SETTING = {
    "--name": "spark.app.name",
    "--driver-memory": "spark.driver.memory",
    "--driver-cores": "spark.driver.cores",
    "--executor-memory": "spark.executor.memory",
    "--executor-cores": "spark.executor.cores",
    "--num-executors": "spark.executor.instances",
    "--py-files": "spark.submit.pyFiles",
    "--archives": "spark.archives",
    "--files": "spark.files",
}
DRIVER_ENVIRONMENT = "spark.emr-serverless.driverEnv."
WORKER_ENVIRONMENT = "spark.executorEnv."
HADOOP = "spark.hadoop."
# The places that run on a laptop have no JVM of their own to size or to load.
UNSUPPORTED = ("--class", "--jars", "--packages", "--repositories", "--properties-file", "--master", "--deploy-mode")


class SubmitParametersError(Exception):
    """sparkSubmitParameters cannot be run here; the message names the option."""


@dataclass(frozen=True, kw_only=True)
class SparkSubmit:
    """A job as spark-submit is told.

    Attributes:
        entry_point: URI of the Python file.
        arguments: its argv.
        py_files: URIs for the Python path, in order.
        archives: (URI, folder name in the working directory).
        files: URIs for the working directory.
        conf: Spark settings, the Hadoop ones and the two environments left out.
        hadoop_conf: settings of spark.hadoop.*, without the prefix.
        driver_env: environment of the driver.
        worker_env: environment of the Python workers.
    """

    entry_point: str
    arguments: tuple[str, ...]
    py_files: tuple[str, ...]
    archives: tuple[tuple[str, str], ...]
    files: tuple[str, ...]
    conf: Mapping[str, str]
    hadoop_conf: Mapping[str, str]
    driver_env: Mapping[str, str]
    worker_env: Mapping[str, str]


def read_spark_submit(job_driver: Mapping[str, Any], defaults: Iterable[Mapping[str, Any]] = ()) -> SparkSubmit:
    """The job that a `jobDriver` describes.

    Args:
        job_driver: as in StartJobRun.
        defaults: lists of configurations (`classification`, `properties`), weakest first; only spark-defaults counts.
    Raises:
        SubmitParametersError: an option that is unknown or not supported here.
    """
    spark = job_driver["sparkSubmit"]
    conf = {name: value for default in defaults for name, value in _spark_defaults(default).items()}
    conf.update(_read_options(shlex.split(spark.get("sparkSubmitParameters") or "")))
    return SparkSubmit(
        entry_point=spark["entryPoint"],
        arguments=tuple(spark.get("entryPointArguments") or ()),
        py_files=_uris(conf.pop("spark.submit.pyFiles", "")),
        archives=tuple(_archive(uri) for uri in _uris(conf.pop("spark.archives", ""))),
        files=_uris(conf.pop("spark.files", "")),
        hadoop_conf=_take(conf, HADOOP),
        driver_env=_take(conf, DRIVER_ENVIRONMENT),
        worker_env=_take(conf, WORKER_ENVIRONMENT),
        conf=conf,
    )


def _spark_defaults(configuration: Mapping[str, Any]) -> Mapping[str, str]:
    return configuration.get("properties") or {} if configuration.get("classification") == "spark-defaults" else {}


def _read_options(words: list[str]) -> dict[str, str]:
    conf: dict[str, str] = {}
    remaining = iter(words)
    for word in remaining:
        option, joined, value = word.partition("=")
        if option in UNSUPPORTED:
            raise SubmitParametersError(f"sparkSubmitParameters: {option} is not supported by the laptop cloud")
        if option in ("--verbose", "-v"):
            continue
        if option not in ("--conf", "-c") and option not in AS_SETTING:
            raise SubmitParametersError(f"sparkSubmitParameters: {word} is no option of spark-submit")
        if not joined:
            value = next(remaining, "")
        if option in AS_SETTING:
            conf[AS_SETTING[option]] = value
            continue
        name, equals, setting = value.partition("=")
        if not equals:
            raise SubmitParametersError(f"sparkSubmitParameters: --conf {value!r} is not name=value")
        conf[name] = setting
    return conf


def _uris(value: str) -> tuple[str, ...]:
    return tuple(uri.strip() for uri in value.split(",") if uri.strip())


def _archive(uri: str) -> tuple[str, str]:
    place, _, name = uri.partition("#")
    return place, name or place.rsplit("/", 1)[-1]


def _take(conf: dict[str, str], prefix: str) -> dict[str, str]:
    names = [name for name in conf if name.startswith(prefix)]
    return {name.removeprefix(prefix): conf.pop(name) for name in names}
