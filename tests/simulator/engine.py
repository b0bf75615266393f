"""What is patched while schedules run: the laptop's engine, the handlers and the jobs on the virtual clock."""

from __future__ import annotations

import functools
import gc
import importlib
import json
import os
import pkgutil
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import yaml

import lambdas
from contracts import contract as contracts
from contracts import releases
from lambdas import aws, digests, emit_lineage_and_metrics, launching, open_run, receipts, runtime, validate_contracts
from local.seams import moto_asl, moto_asl_repair, moto_asl_tasks
from local.stepfunctions import jsonata
from ops.workflow_lint import SUBSTITUTIONS
from spark_jobs import publish as real_publish
from spark_jobs import receipts as real_receipts

from . import jobs
from .cloud import ACCOUNT, ARN, BUCKET
from .kernel import virtual

ROOT = Path(__file__).resolve().parents[2]
DAILY, ARRIVAL = "daily_batch", "file_arrival"
CONFIG = yaml.safe_load((ROOT / "config" / "prod.yaml").read_text())
JOB = CONFIG["job"]
_HANDLERS = [importlib.import_module(f"lambdas.{module.name}") for module in pkgutil.iter_modules(lambdas.__path__)]
ACTORS = ("ingest", "check", "silver", "publish_silver", "gold", "publish")
ENVIRONMENT: Mapping[str, str] = {
    "STAGE": "sim",
    "LAKE_BUCKET": BUCKET,
    "CODE_BUCKET": "assay-sim-code",
    "LEDGER_TABLE": "assay-sim-ledger",
    "APPLICATION_ID": "00app",
    "JOB_ROLES": json.dumps({actor: f"role/{actor}" for actor in ACTORS}),
    "SECRET_ARNS": "{}",
    "PII_KEY_ARN": "arn:pii-key",
    "SOURCES": '["fx_rates", "snowflake_orders"]',
    "SPARK_CONF": "{}",
    "FAIL_FROM": '{"error": "1"}',
    "SPARK_ENTRY_KEY": "spark/main.py",
    "SPARK_CODE_KEY": "spark/code.zip",
    "SPARK_DEPS_KEY": "spark/deps.tar.gz",
    "CODE_DIGEST": "code1",
    "JOB_TIMEOUT_MINUTES": str(JOB["timeout_minutes"]),
    "LEASE_WAIT_MINUTES": str(JOB["lease_wait_minutes"]),
    "GLUE_DATABASES": json.dumps({layer: f"assay_sim_{layer}" for layer in ("bronze", "silver", "gold", "quality")}),
    "FILE_ARRIVAL_ARN": f"{ARN}:stateMachine:{ARRIVAL}",
    "NOTICE_TOPIC_ARN": f"arn:aws:sns:eu-west-1:{ACCOUNT}:assay-sim-notices",
}


@functools.cache
def definition(workflow: str = DAILY) -> str:
    """A workflow, its placeholders filled as CDK fills them."""
    file = f"{workflow}.asl.json"
    text = (ROOT / "state_machines" / file).read_text()
    numbers = {"JobTimeoutSeconds": JOB["task_timeout_seconds"], "JobHeartbeatSeconds": JOB["heartbeat_seconds"]}
    for name in SUBSTITUTIONS[file]:
        function = re.sub(r"(?<!^)(?=[A-Z])", "_", name.removesuffix("Function")).lower()
        arn = f"arn:aws:lambda:eu-west-1:{ACCOUNT}:function:{function}:live"
        text = text.replace(f"${{{name}}}", str(numbers.get(name, arn)))
    return text


class Quiet:
    """The log and the metrics of handlers: a schedule has a trace of its own."""

    class _Provider:
        metric_set: tuple[()] = ()

    provider = _Provider()

    def __getattr__(self, _: str) -> Any:
        return lambda *_, **__: None


@contextmanager
def _no_metric(**_: Any) -> Iterator[Quiet]:
    yield Quiet()


class Hooks:
    """Who answers for AWS in the schedule that runs; the patches below are made once and look here."""

    world: Any = None


@functools.cache
def _released(release: str) -> digests.Released:
    found = _real_released()
    if release == "breaking":
        versions = {**found.schemas["orders_silver"], "9-0-0": "another"}
        return replace(found, schemas={**found.schemas, "orders_silver": versions})
    return found


_real_released, _real_digest = digests.released, contracts.digest


def _digest() -> str:
    release = Hooks.world.site.release
    return _known_digest() + ("" if release == "released" else f"+{release}")


_known_digest = functools.cache(_real_digest)
_known_problems = functools.cache(releases.problems_as_released)


@functools.lru_cache(maxsize=4096)
def _parse(expression: str) -> Any:
    """A parsed expression, kept: without the limit of real time, which begins with the parsing."""
    return jsonata.jsonata.Jsonata(expression)


_PATH = re.compile(r"\(\$([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)\)")
_NUMBER = re.compile(r"\((\d+)\)")
_OR_ZERO = re.compile(r"\(\$exists\(\$([\w.]+)\) \? \$([\w.]+) : 0\)")
_real_evaluate = jsonata.evaluate


@functools.lru_cache(maxsize=4096)
def _simple(expression: str) -> tuple[tuple[str, ...], int | None] | None:
    """An expression that only follows a path, as the path and what stands for nothing there."""
    if number := _NUMBER.fullmatch(expression):
        return (), int(number[1])
    if path := _PATH.fullmatch(expression):
        return tuple(path[1].split(".")), None
    if (either := _OR_ZERO.fullmatch(expression)) and either[1] == either[2]:
        return tuple(either[1].split(".")), 0
    return None


def quick_evaluate(expression: str, bindings: Mapping[str, Any]) -> Any:
    """The value of an expression; most only follow a path to a text, a number or an object, and need no interpreter."""
    simple = _simple(expression)
    if simple is not None:
        path, otherwise = simple
        value: Any = bindings if path else None
        for name in path:
            value = value.get(name) if type(value) is dict else None
        kind = type(value)
        if kind is str or kind is int or kind is bool or (kind is dict and value):
            return value
        if value is None and otherwise is not None and (not path or _ends_in_an_object(path, bindings)):
            return otherwise
    return _real_evaluate(expression, bindings)


def _ends_in_an_object(path: tuple[str, ...], bindings: Mapping[str, Any]) -> bool:
    value: Any = bindings
    for name in path[:-1]:
        value = value.get(name) if type(value) is dict else None
    return type(value) is dict and path[-1] not in value


def _quick_paths() -> Iterator[tuple[object, str, object]]:
    """The engine builds a parser for every path it reads; the same path is always the same."""
    for module in list(sys.modules.values()):
        parse = getattr(module, "parse", None)
        if module.__name__.startswith("moto.stepfunctions") and getattr(parse, "__module__", "").startswith(
            "jsonpath_ng"
        ):
            yield module, "parse", functools.lru_cache(maxsize=1024)(parse)


class _Compact:
    """The json of who writes for a person to read: without the indent, which only the slow encoder knows."""

    loads = staticmethod(json.loads)

    @staticmethod
    def dumps(value: Any, indent: int | None = None, **options: Any) -> str:  # noqa: ARG004
        return json.dumps(value, **options)


class _Environment(dict[str, str]):
    def get(self, name: str, default: Any = None) -> Any:
        if name == "CODE_DIGEST" and Hooks.world is not None:
            return Hooks.world.site.code_digest
        if name == "LEASE_WAIT_MINUTES" and Hooks.world is not None and Hooks.world.plan.lease_wait_minutes:
            return str(Hooks.world.plan.lease_wait_minutes)
        return super().get(name, default)


@contextmanager
def _few_collections() -> Iterator[None]:
    """A block in which garbage is collected when a schedule says so: a fifth of the time otherwise."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.unfreeze()
        gc.enable()


@contextmanager
def installed() -> Iterator[None]:
    """A block in which schedules can run."""
    engine = [
        module
        for name, module in list(sys.modules.items())
        if name.startswith(("local.seams.moto_asl", "moto.stepfunctions.parser.asl")) and module is not moto_asl_repair
    ]
    patches: list[tuple[object, str, object]] = [
        (moto_asl_tasks, "_client", lambda *_: Hooks.world.functions),
        (jsonata, "_parse", _parse),
        (jsonata, "evaluate", quick_evaluate),
        (runtime, "logger", Quiet()),
        (runtime, "metrics", Quiet()),
        (runtime, "ledger", lambda: Hooks.world.ledger),
        (emit_lineage_and_metrics, "single_metric", _no_metric),
        # to render lineage is pure, a fifth of a schedule's time, and tests/test_lambdas_lineage.py's business
        (emit_lineage_and_metrics, "events", lambda *_: []),
        (aws, "s3", lambda: Hooks.world.s3),
        (aws, "emr_serverless", lambda: Hooks.world.emr),
        (aws, "stepfunctions", lambda: Hooks.world.states),
        (aws, "sns", lambda: Hooks.world.sns),
        (aws, "glue", lambda: Hooks.world.glue),
        (contracts, "digest", _digest),
        *((contracts, name, functools.cache(getattr(contracts, name))) for name in ("datasets", "versions")),
        *_quick_paths(),
        (releases, "problems_as_released", _known_problems),
        (real_publish, "_commit", jobs.commit_candidates),
        (real_publish, "_gold", jobs.gold_publications),
        (real_publish, "ThreadPoolExecutor", jobs.OneAfterAnother),
        (real_receipts, "json", _Compact),
        (receipts, "json", _Compact),
        *(
            (module, "released", lambda: _released(Hooks.world.site.release))
            for module in (open_run, validate_contracts, launching)
        ),
        (runtime.os, "environ", _Environment(os.environ | ENVIRONMENT)),
    ]
    moto_asl.parse(definition()), moto_asl.parse(definition(ARRIVAL))
    _known_digest(), _known_problems(), _released("released")
    with ExitStack() as stack:
        stack.enter_context(_few_collections())
        for owner, name, value in patches:
            stack.enter_context(mock.patch.object(owner, name, value))
        stack.enter_context(virtual([*engine, *_HANDLERS, real_receipts]))
        yield
