"""What a function reads from its environment, as one frozen value each.

A class names exactly the variables that its functions need: CDK gives each function only those.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Self

from contracts.errors import InvalidRequestError


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Base: a field's variable is its name in capitals; an int, a Mapping and a tuple are read as JSON."""

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Self:
        """The settings that an environment gives.

        Raises:
            InvalidRequestError: names the variables that are missing or cannot be read.
        """
        values: dict[str, object] = {}
        problems = []
        for field in fields(cls):
            variable = field.name.upper()
            text = environment.get(variable)
            try:
                if text is None:
                    raise ValueError("is not set")
                values[field.name] = _parse(str(field.type), text)
            except ValueError as error:
                problems.append(f"{variable} {error}")
        if problems:
            raise InvalidRequestError(f"environment: {'; '.join(problems)}. Deploy the pipeline stack again.")
        return cls(**values)


@dataclass(frozen=True, kw_only=True)
class LedgerSettings(Settings):
    """Every function keeps to the ledger."""

    ledger_table: str


@dataclass(frozen=True, kw_only=True)
class OpenSettings(LedgerSettings):
    """OpenRun pins the code and names the sources that the stage runs."""

    code_digest: str
    sources: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class LakeSettings(LedgerSettings):
    """Functions that read receipts or landed files."""

    lake_bucket: str


@dataclass(frozen=True, kw_only=True)
class ValidateSettings(LakeSettings):
    """ValidateContracts judges the files of the sources that the stage runs."""

    sources: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ArrivalSettings(ValidateSettings):
    """GatherArrivals starts runs for what arrived.

    Attributes:
        file_arrival_arn: the state machine that takes a set of objects.
    """

    file_arrival_arn: str


@dataclass(frozen=True, kw_only=True)
class JobSettings(LedgerSettings):
    """Functions that look at job runs."""

    application_id: str


@dataclass(frozen=True, kw_only=True)
class FinishedSettings(JobSettings, LakeSettings):
    """JobFinished reads the receipt of a job run that ended."""


@dataclass(frozen=True, kw_only=True)
class LaunchSettings(FinishedSettings):
    """LaunchJob starts job runs.

    Attributes:
        job_roles: actor, as `submission.ACTOR_OF_STEP` names them, to execution role ARN.
        secret_arns: source to the ARN of its secret; sources without one are absent.
        pii_key_arn: the secret with the key of the tokens that stand for personal data.
        spark_conf: the stage's own Spark settings.
        fail_from: severity to the number of failed expectations that close a gate; severities that never do are absent.
        lease_wait_minutes: how long a step waits for another writer of its tables before its execution fails.
    """

    code_bucket: str
    code_digest: str
    job_roles: Mapping[str, str]
    secret_arns: Mapping[str, str]
    pii_key_arn: str
    spark_conf: Mapping[str, str]
    fail_from: Mapping[str, str]
    spark_entry_key: str
    spark_code_key: str
    spark_deps_key: str
    job_timeout_minutes: int
    lease_wait_minutes: int


@dataclass(frozen=True, kw_only=True)
class HoldSettings(LakeSettings):
    """HoldAtGate tells people."""

    notice_topic_arn: str


@dataclass(frozen=True, kw_only=True)
class CatalogSettings(LakeSettings):
    """RegisterCatalog writes table definitions.

    Attributes:
        glue_databases: layer to database name.
    """

    glue_databases: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class LineageSettings(LakeSettings):
    """EmitLineageAndMetrics names the stage in job namespaces."""

    stage: str


def _parse(type_name: str, text: str) -> object:
    if type_name == "int":
        return int(text)
    if not type_name.startswith(("Mapping", "tuple")):
        return text
    value = json.loads(text)
    if type_name.startswith("tuple"):
        if not isinstance(value, list) or not all(isinstance(inner, str) for inner in value):
            raise ValueError("is not a JSON array of strings")
        return tuple(value)
    if not isinstance(value, dict) or not all(isinstance(inner, str) for inner in value.values()):
        raise ValueError("is not a JSON object of strings")
    return value
