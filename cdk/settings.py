"""What differs between stages: one value per setting, from `config/<stage>.yaml`."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from cdk import sources

ROOT = Path(__file__).resolve().parents[1]
CONFIG = ROOT / "config"
STAGES = ("local", "dev", "prod")


class SettingsError(Exception):
    """A stage cannot be synthesized as it is described; the message names file, key and rule."""


@dataclass(frozen=True, kw_only=True)
class Resources:
    """Compute of one worker, or of a whole application."""

    vcpu: int
    memory_gb: int
    disk_gb: int


@dataclass(frozen=True, kw_only=True)
class InitialCapacity:
    """Workers that an application keeps warm while it runs."""

    drivers: int
    executors: int
    worker: Resources


@dataclass(frozen=True, kw_only=True)
class NetworkSettings:
    """The VPC of Spark's workers."""

    cidr: str
    zones: tuple[str, str]
    nat_gateways: int
    egress_ports: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class SparkSettings:
    """The EMR Serverless application; `conf` is given to every job run."""

    initial_capacity: InitialCapacity | None
    maximum: Resources
    auto_stop_minutes: int
    conf: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class JobSettings:
    """How long a job run and the state that waits for it, or for another writer of its tables, may take."""

    timeout_minutes: int
    heartbeat_seconds: int
    task_timeout_seconds: int
    lease_wait_minutes: int


@dataclass(frozen=True, kw_only=True)
class ArrivalSettings:
    """How events of files that arrive are gathered."""

    enabled: bool
    window_seconds: int
    batch_size: int


@dataclass(frozen=True, kw_only=True)
class AnalystSettings:
    """Who may read gold in Athena, how much a query may scan, and how long its results are kept."""

    principals: tuple[str, ...]
    query_limit_gb: int
    results_days: int


@dataclass(frozen=True, kw_only=True)
class MaintenanceSettings:
    """When tables are maintained, in UTC, as EventBridge Scheduler writes it."""

    expression: str
    enabled: bool


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One stage. `architecture` is Lambda's word for it: arm64 or x86_64."""

    stage: str
    account: str
    region: str
    architecture: str
    retain: bool
    access_logs: bool
    log_retention_days: int
    sources: tuple[str, ...]
    network: NetworkSettings | None
    spark: SparkSettings
    job: JobSettings
    lambda_memory_mb: int
    log_level: str
    schedule_expression: str
    schedule_enabled: bool
    arrivals: ArrivalSettings
    maintenance: MaintenanceSettings
    notice_emails: tuple[str, ...]
    encrypt_notices: bool
    analysts: AnalystSettings
    fail_from: Mapping[str, int | None]


def load(stage: str, *, config: Path = CONFIG, host: str | None = None) -> Settings:
    """The settings of `stage`.

    Args:
        stage: the name of a file in `config`.
        config: the folder of the settings and their schema.
        host: the architecture that `host` stands for; that of this machine unless told.
    Raises:
        SettingsError: no such stage, not YAML, a key that breaks the schema, or values that do not go together.
    Source: config/settings.schema.json, config/dq.schema.json
    """
    path = config / f"{stage}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(found.stem for found in config.glob("*.yaml") if found.stem != "dq"))
        raise SettingsError(f"{path}: there is no stage {stage!r}; known are {known}")
    values = _read(path, schema=config / "settings.schema.json")
    quality = _read(config / "dq.yaml", schema=config / "dq.schema.json")
    settings = _settings(stage, values, quality, host or _host_architecture())
    _check_together(settings, path)
    return settings


def _read(path: Path, *, schema: Path) -> dict[str, Any]:
    try:
        values: dict[str, Any] = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise SettingsError(f"{path}: not YAML: {error}") from error
    _check(values, schema=json.loads(schema.read_text()), path=path)
    return values


def _check(values: object, *, schema: Mapping[str, Any], path: Path) -> None:
    with _without("rfc3987_syntax"):
        import jsonschema

    error = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(schema).iter_errors(values))
    if error is not None:
        key = ".".join(str(part) for part in error.absolute_path) or "(the whole file)"
        raise SettingsError(f"{path}: {key}: {error.message} (rule {error.validator})")


@contextmanager
def _without(module: str) -> Iterator[None]:
    """A block in which `module` cannot be imported.

    jsonschema imports a grammar of IRIs if it can, which takes as long as a synthesis; no setting is an IRI.
    """
    if module in sys.modules:
        yield
        return
    sys.modules[module] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[module]


def _check_together(settings: Settings, path: Path) -> None:
    job = settings.job
    if job.heartbeat_seconds >= job.task_timeout_seconds:
        raise SettingsError(
            f"{path}: job.heartbeat_seconds: {job.heartbeat_seconds} is not below "
            f"job.task_timeout_seconds {job.task_timeout_seconds}, so a lost callback would end the state"
        )
    try:
        sources.check(settings.sources)
    except ValueError as error:
        raise SettingsError(f"{path}: sources: {error}") from error
    zones = settings.network.zones if settings.network else ()
    for zone in zones:
        if zone[:-1] != settings.region:
            raise SettingsError(f"{path}: network.zones: {zone} is not in region {settings.region}")


def _settings(stage: str, values: Mapping[str, Any], quality: Mapping[str, Any], host: str) -> Settings:
    network, spark = values["network"], values["spark"]
    capacity = spark["initial_capacity"]
    return Settings(
        stage=stage,
        account=values["account"],
        region=values["region"],
        architecture=host if values["architecture"] == "host" else values["architecture"],
        retain=values["retain"],
        access_logs=values["access_logs"],
        log_retention_days=values["log_retention_days"],
        sources=tuple(values["sources"]),
        network=None
        if network is None
        else NetworkSettings(
            cidr=network["cidr"],
            zones=(network["zones"][0], network["zones"][1]),
            nat_gateways=network["nat_gateways"],
            egress_ports=tuple(network["egress_ports"]),
        ),
        spark=SparkSettings(
            initial_capacity=None
            if capacity is None
            else InitialCapacity(
                drivers=capacity["drivers"], executors=capacity["executors"], worker=Resources(**capacity["worker"])
            ),
            maximum=Resources(**spark["maximum"]),
            auto_stop_minutes=spark["auto_stop_minutes"],
            conf=spark["conf"],
        ),
        job=JobSettings(**values["job"]),
        lambda_memory_mb=values["lambda"]["memory_mb"],
        log_level=values["lambda"]["log_level"],
        schedule_expression=values["schedule"]["expression"],
        schedule_enabled=values["schedule"]["enabled"],
        arrivals=ArrivalSettings(**values["arrivals"]),
        maintenance=MaintenanceSettings(**values["maintenance"]),
        notice_emails=tuple(values["notices"]["emails"]),
        encrypt_notices=values["notices"]["encrypted"],
        analysts=AnalystSettings(
            principals=tuple(values["analysts"]["principals"]),
            query_limit_gb=values["analysts"]["query_limit_gb"],
            results_days=values["analysts"]["results_days"],
        ),
        fail_from=quality["fail_from"],
    )


def _host_architecture() -> str:
    return "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64"
