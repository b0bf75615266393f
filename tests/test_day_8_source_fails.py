"""One source fails: its branch says why, what the others brought stands, and a redrive runs that branch alone."""

import contextlib
import datetime
import json
import urllib.request
from dataclasses import dataclass

import pytest
import snowflake.connector
from laptop import DAY, assert_equals_sources

from cdk import settings
from cdk.sources import systems
from local.standins import redshift
from ops import run

FIRST = datetime.date(2020, 5, 11)  # a Monday: a day of rates follows
FOR_EVER = 100_000

# a system that is down is asked for minutes, by each of its sources
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


def held(laptop, system):
    """What Secrets Manager holds for the server that stands for a system."""
    secret = laptop.access.secrets.get_secret_value(SecretId=f"assay/local/{system}")
    return json.loads(secret["SecretString"])


def hold(laptop, system, **parameters):
    """Put parameters into a system's secret."""
    found = json.dumps({**held(laptop, system), **parameters})
    laptop.access.secrets.put_secret_value(SecretId=f"assay/local/{system}", SecretString=found)


# Where the server of a system listens: each has `POST /faults`.
ADDRESS = {
    "hubspot": lambda secret: secret["api_url"],
    "salesforce": lambda secret: secret["instance_url"],
    "snowflake": lambda secret: f"http://{secret['host']}:{secret['port']}",
}


def switch(laptop, system, fault, times):
    """Have the server that stands for a system answer its next requests with a fault."""
    body = json.dumps({"name": fault, "times": times}).encode()
    url = ADDRESS[system](held(laptop, system)) + "/faults"
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310 (loopback)
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        assert answer.status == 200


@contextlib.contextmanager
def switched(laptop, system, fault):
    """The server answers nothing but the fault."""
    switch(laptop, system, fault, FOR_EVER)
    try:
        yield
    finally:
        switch(laptop, system, fault, 0)


@contextlib.contextmanager
def with_secret(laptop, system, **parameters):
    """The secret holds other values."""
    before = held(laptop, system)
    hold(laptop, system, **parameters)
    try:
        yield
    finally:
        hold(laptop, system, **before)


def with_password(laptop, system, password):
    return with_secret(laptop, system, password=password)


def nobody_at_port(laptop, system, port):
    return with_secret(laptop, system, port=int(port))


@contextlib.contextmanager
def column_renamed(laptop, system, column):
    """A column of the system's table has another name."""
    table, sql = TABLES[system]

    def rename(old, new):
        sql(held(laptop, system), f"ALTER TABLE {table} RENAME COLUMN {old} TO {new}")

    rename(column, f"{column}_2")
    try:
        yield
    finally:
        rename(f"{column}_2", column)


def in_snowflake(secret, statement):
    with contextlib.closing(snowflake.connector.connect(**secret)) as connection:
        connection.cursor().execute(statement)


TABLES = {
    "snowflake": ("ORDERS", in_snowflake),
    "redshift": ("sales.products", lambda secret, statement: redshift.psql(secret["port"], statement)),
}


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A way in which a system fails.

    `fault` is a context in which it does, called with the laptop, the system and `how`; one of `sources` fails first,
    and `words` are in the cause. A reader that has no patience of its own is run `tries` times by its state.
    """

    system: str
    fault: object
    how: str | dict
    error: str
    words: tuple[str, ...]
    sources: tuple[str, ...]
    tries: int


def failure(system, fault, how, error, *words, source=None, tries=1):
    sources = (source,) if source else tuple(sorted(each for each, of in systems(LOCAL).items() if of == system))
    case = Failure(system=system, fault=fault, how=how, error=error, words=words, sources=sources, tries=tries)
    return pytest.param(case, id=f"{system}-{how if isinstance(how, str) else 'secret'}")


LOCAL = settings.load("local").sources
OPPORTUNITIES, ORDERS, PRODUCTS = "salesforce_opportunities", "snowflake_orders", "redshift_products"
FAILURES = [
    failure("salesforce", switched, "field_gone", "ContractViolationError", "StageName", source=OPPORTUNITIES),
    failure("salesforce", switched, "refused", "SourceFailedError", "have its secret put right"),
    failure("salesforce", switched, "too_many", "SourceFailedError", "status 429"),
    failure("salesforce", switched, "down", "SourceFailedError", "status 503"),
    failure("salesforce", switched, "truncated", "SourceFailedError", "no whole answer"),
    failure("hubspot", switched, "refused", "SourceFailedError", "have its secret"),
    failure("hubspot", switched, "down", "SourceFailedError", "status 503"),
    failure("hubspot", switched, "too_many", "SourceFailedError", "status 429"),
    failure("hubspot", switched, "truncated", "SourceFailedError", "no whole answer"),
    failure("hubspot", switched, "field_gone", "ContractViolationError", "lifecyclestage"),
    failure("snowflake", switched, "down", "SourceFailedError", "none from Snowflake"),
    failure("snowflake", switched, "too_many", "SourceFailedError", "none from Snowflake"),
    failure("snowflake", switched, "refused", "SourceFailedError", "have its secret put right"),
    failure("snowflake", switched, "truncated", "SourceFailedError", "no whole answer"),
    failure("snowflake", column_renamed, "clerk", "ContractViolationError", "clerk", source=ORDERS),
    failure("redshift", with_password, "wrong-one", "SourceFailedError", "have its secret put right"),
    failure("redshift", nobody_at_port, "9", "SourceUnavailableError", "Redshift did not answer", tries=5),
    failure("redshift", column_renamed, "brand", "ContractViolationError", "brand", source=PRODUCTS),
]


def ingests(progress):
    """How often each source was ingested."""
    found = {}
    for job in progress.jobs:
        if job["step"] == "ingest":
            found[job["subject"]] = max(found.get(job["subject"], 0), job["attempt"])
    return found


def bronze(laptop, sources):
    return {source: laptop.version(f"bronze/{source}") for source in sources}


def wait_for_the_other_branches(laptop):
    """A Map that has failed lets the job runs of its other branches end: one may have a whole patience before it."""
    live = ["SUBMITTED", "PENDING", "SCHEDULED", "QUEUED", "RUNNING"]
    emr, application = laptop.access.emr, laptop.platform.application_id
    laptop.wait_for(lambda: not emr.list_job_runs(applicationId=application, states=live)["jobRuns"], 420)


@pytest.fixture(scope="module")
def days():
    """A day of its own for each failure."""
    return iter(FIRST + DAY * number for number in range(1, 100))


@pytest.fixture(scope="module")
def sources(laptop):
    """The sources of the stage, after a first day that took all of them."""
    ended = laptop.run(FIRST)
    assert ended.status == "SUCCEEDED", ended.failure
    return sorted(ingests(ended))


@pytest.mark.parametrize("failure", FAILURES)
def test_a_failure_costs_one_branch_and_a_redrive_runs_that_branch(laptop, sources, days, failure):
    day = next(days)
    before, gold = bronze(laptop, sources), laptop.version("gold/kpi_daily")
    with failure.fault(laptop, failure.system, failure.how):
        failed = laptop.finish(laptop.start(day), timeout_seconds=600)
        wait_for_the_other_branches(laptop)
    assert failed.status == "FAILED"
    assert (failed.failure.state, failed.failure.error) == ("IngestSource", failure.error)
    for word in failure.words:
        assert word in failed.failure.cause
    [first] = [source for source in failure.sources if source in failed.failure.cause]
    others = [source for source in sources if source not in failure.sources]
    told = run.progress(laptop.platform, failed.execution_arn)
    tries = ingests(told)
    assert tries[first] == failure.tries, "a person is told at once where trying again helps nobody"
    assert {source: tries[source] for source in others} == dict.fromkeys(others, 1), "no other branch is run again"
    after = bronze(laptop, sources)
    assert {source: after[source] for source in failure.sources} == {
        source: before[source] for source in failure.sources
    }
    assert laptop.version("gold/kpi_daily") == gold
    mended = laptop.redrive(failed)
    assert mended.status == "SUCCEEDED", mended.failure
    again = ingests(mended)
    assert again[first] == failure.tries + 1
    # another source of the same system may have failed beside it, or waited until the fault was gone
    assert {source: again[source] for source in others} == dict.fromkeys(others, 1)
    assert bronze(laptop, others) == {source: after[source] for source in others}
    assert_equals_sources(laptop, day)


def test_a_wrong_password_that_is_put_right_lets_the_branch_go_on(laptop, sources, days):
    day = next(days)
    with with_secret(laptop, "snowflake", password="wrong-one"):
        failed = laptop.run(day)
    assert (failed.failure.state, failed.failure.error) == ("IngestSource", "SourceFailedError")
    assert "did not let us in" in failed.failure.cause
    assert "wrong-one" not in json.dumps(failed.failure.cause)
    mended = laptop.redrive(failed)
    assert mended.status == "SUCCEEDED", mended.failure
    assert ingests(mended) == {**dict.fromkeys(sources, 1), "snowflake_orders": 2}
    assert_equals_sources(laptop, day)


def test_what_passes_within_the_reader_s_patience_costs_no_redrive(laptop, sources, days):
    for fault in ("too_many", "down", "expired", "truncated"):
        switch(laptop, "salesforce", fault, 1)
    for fault in ("too_many", "down", "refused"):
        switch(laptop, "snowflake", fault, 1)
    day = next(days)
    ended = laptop.run(day)
    assert ended.status == "SUCCEEDED", ended.failure
    assert ingests(ended) == dict.fromkeys(sources, 1)
    assert_equals_sources(laptop, day)
