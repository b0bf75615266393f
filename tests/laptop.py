"""What the tests of whole days do to the laptop cloud: put files, run days, redrive, and read tables back."""

import contextlib
import datetime
import json
import os
import signal
import threading
import time
from pathlib import Path

import crm_sources
import duckdb
import pyarrow as pa
from deltalake.exceptions import TableNotFoundError

from contracts import contract as contracts
from local.standins import tpch, vendor
from ops import executions, lake, run
from ops import laptop as cloud
from ops.package import ROOT
from ops.platform import platform
from spark_jobs.gold_tables import GOLD_TABLES
from spark_jobs.transforms.currencies import NAMES

HEADER = vendor.history()[0]
COLUMNS = HEADER.rstrip(",").split(",")
# What a table says about the business; the rest tells which run wrote a row, and when.
BUSINESS = {
    "silver/fx_rates": ["rate_date", "currency", "rate"],
    "silver/orders": ["order_id", "customer_id", "order_status", "order_date", "currency", "amount", "order_priority"],
    **{
        name: [column for column, _ in contracts.of_table(name).columns if column not in ("_run_id", "updated_at")]
        for name in ("silver/products", "silver/part_supply", "silver/order_lines")
    },
    **{
        name: [column for column, _ in contracts.of_table(name).columns if column != "_run_id"]
        for name in ("silver/accounts", "silver/contacts", *(table.name for table in GOLD_TABLES))
    },
}


def fx_row(day, **rates):
    """The ECB's row of `day`, with some rates put in its place."""
    line = next(line for line in vendor.history() if line.startswith(day.isoformat()))
    values = dict(zip(COLUMNS, line.split(","), strict=False)) | {name: str(rate) for name, rate in rates.items()}
    return ",".join(values[name] for name in COLUMNS) + ","


def fx_file(day, **rates):
    """A vendor's file of one day that keeps the layout."""
    return f"{HEADER}\n{fx_row(day, **rates)}\n"


def fx_key(day):
    return f"{vendor.PREFIX}eurofxref-{day.isoformat()}.csv"


class Laptop:
    def __init__(self):
        self.platform = platform("local")
        self.access = self.platform.access

    @classmethod
    @contextlib.contextmanager
    def up(cls):
        cloud.up(lambda _: None)
        try:
            yield cls()
        finally:
            cloud.down()

    def put(self, key, body):
        content = body if isinstance(body, bytes) else body.encode()
        self.access.s3.put_object(Bucket=self.platform.lake_bucket, Key=key, Body=content)

    def put_fx(self, day, body):
        """The vendor's file of `day` as the test wants it, after those of the days before."""
        vendor.deliver(self.access.s3, self.platform.lake_bucket, day - DAY)
        self.put(fx_key(day), body)

    def start(self, day):
        return run.start(self.platform, day)

    def finish(self, execution_arn, timeout_seconds=420):
        deadline = time.monotonic() + timeout_seconds
        while time.monotonic() < deadline:
            if self.access.states.describe_execution(executionArn=execution_arn)["status"] != "RUNNING":
                return run.progress(self.platform, execution_arn)
            time.sleep(0.2)
        raise AssertionError(f"still running after {timeout_seconds} s: {run.progress(self.platform, execution_arn)}")

    def run(self, day):
        return self.finish(self.start(day))

    def redrive(self, ended):
        run.redrive(self.platform, ended.execution_arn)
        return self.finish(ended.execution_arn)

    def arrivals(self):
        """The executions of the file arrival, oldest first."""
        machine = self.platform.state_machines["file_arrival"]
        pages = self.access.states.get_paginator("list_executions").paginate(stateMachineArn=machine)
        return [each["executionArn"] for page in pages for each in page["executions"]][::-1]

    @contextlib.contextmanager
    def listening(self):
        """The rule and the mapping are on, as the stages on AWS have them; on the laptop `assay run` starts the day."""
        events, functions = (self.access._client(service) for service in ("events", "lambda"))
        [mapping] = functions.list_event_source_mappings(FunctionName="assay-local-gather-arrivals")[
            "EventSourceMappings"
        ]
        events.enable_rule(Name="assay-local-object-arrived")
        functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)
        try:
            yield
        finally:
            functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
            events.disable_rule(Name="assay-local-object-arrived")

    def wait_for_arrival(self, before, seconds=60):
        """The executions of the file arrival that are not among those `before`."""
        return self.wait_for(lambda: [each for each in self.arrivals() if each not in before], seconds)

    def arrive(self, day, body):
        """The vendor's file of `day` arrives, after those of the days before; the execution that takes it."""
        vendor.deliver(self.access.s3, self.platform.lake_bucket, day - DAY)
        before = self.arrivals()
        with self.listening():
            self.put(fx_key(day), body)
            [execution_arn] = self.wait_for_arrival(before)
        return execution_arn

    def version(self, path):
        """The table's newest Delta version; None before its first commit."""
        with contextlib.suppress(TableNotFoundError):
            return lake.table(self.platform, path).version()
        return None

    def rows(self, path, columns=None):
        return lake.table(self.platform, path).to_pyarrow_table(columns=columns)

    def business(self, path):
        """The business columns of a table as sorted tuples."""
        table = self.rows(path, BUSINESS[path])
        return sorted(tuple(row.values()) for row in table.to_pylist())

    @property
    def pii_key(self):
        """The key of tokens, which a person with the administrator's right can read."""
        secret = self.access.secrets.get_secret_value(SecretId="assay/local/pii-key")
        return json.loads(secret["SecretString"])["key"]

    def receipt(self, key):
        return json.loads(self.access.s3.get_object(Bucket=self.platform.lake_bucket, Key=key)["Body"].read())

    def wait_for(self, look, seconds):
        """What `look` finds, as soon as it is something."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if found := look():
                return found
            time.sleep(0.1)
        raise AssertionError(f"nothing in {seconds} s")

    def wait_until_entered(self, execution_arn, state, timeout_seconds=400):
        def entered():
            return any(step.name == state for step in executions.steps(run.history(self.platform, execution_arn)))

        self.wait_for(entered, timeout_seconds)

    def errors(self, execution_arn):
        """The names of all errors in an execution's history, those that were retried too."""
        found = (details for event in run.history(self.platform, execution_arn) for details in event.values())
        return [details["error"] for details in found if isinstance(details, dict) and "error" in details]

    def freeze(self, actor):
        """Stop the processes of a Lambda function, so that its next call hangs in the middle."""
        client = self.access._client("lambda")
        event = json.dumps({"run_id": "none"}).encode()
        client.invoke(FunctionName=f"assay-local-{actor}:live", Payload=event)  # warm, so that there is a process
        assert self.signal_workers(actor, signal.SIGSTOP)

    def signal_workers(self, actor, number):
        """Send a signal to the processes of a Lambda function; returns how many there are."""
        wanted, found = f"AWS_LAMBDA_FUNCTION_NAME=assay-local-{actor}\0".encode(), 0
        for folder in Path("/proc").iterdir():
            with contextlib.suppress(OSError, ValueError):
                environment = (folder / "environ").read_bytes() + b"\0"
                if wanted in environment and self._endpoint in environment:
                    os.kill(int(folder.name), number)
                    found += 1
        return found

    @property
    def _endpoint(self):
        return str(self.access.endpoint_url).encode()

    def kill_when(self, step, pids, times=1, with_signal=signal.SIGKILL):
        """Kill, as soon as a job of `step` runs, the processes that `pids()` names; returns the killer's thread.

        A step that runs for several sources at once is hit for one of them, each time.
        """
        killed = []

        def watch():
            subjects = []
            deadline = time.monotonic() + 240
            seen = set()
            while len(killed) < times and time.monotonic() < deadline:
                pages = self.access.emr.list_job_runs(applicationId=self.platform.application_id, states=["RUNNING"])
                for job in pages["jobRuns"]:
                    _, its_step, subject, *_ = job["name"].split(":")
                    if its_step == step and subject in (subjects or [subject]) and job["id"] not in seen:
                        subjects = [subject]
                        time.sleep(0.3)
                        for pid in pids():
                            os.kill(pid, with_signal)
                        seen.add(job["id"])
                        killed.append(job["id"])
                time.sleep(0.05)

        thread = threading.Thread(target=watch)
        thread.start()
        return thread, killed


def expected(until, key):
    """A DuckDB of the raw sources up to `until`, and each table of silver and gold in SQL, tokens under a key.

    The sources are TPC-H, the ECB's file, and what the CRM stand-ins hold.
    """
    connection = duckdb.connect()
    folder = tpch.generate(ROOT / "build" / "tpch")
    orders = tpch.ORDERS_SQL.format(folder=folder)
    connection.execute(f"CREATE TABLE orders AS FROM ({orders}) WHERE order_date <= DATE '{until}'")
    lines = [line.rstrip(",").split(",") for line in vendor.history()[1:] if line[:10] <= until.isoformat()]
    long = [
        (line[0], currency, rate)
        for line in lines
        for currency, rate in zip(COLUMNS[1:], line[1:], strict=True)
        if rate not in ("N/A", "")
    ]
    names = ("rate_date", "currency", "rate")
    connection.register("raw_rates", pa.table(dict(zip(names, map(list, zip(*long, strict=True)), strict=True))))
    connection.execute(
        "CREATE TABLE rates AS SELECT CAST(rate_date AS DATE) AS rate_date, currency, "
        "CAST(rate AS DECIMAL(18, 8)) AS rate FROM raw_rates"
    )
    connection.register("names", pa.table({"currency": list(NAMES), "name": list(NAMES.values())}))
    for name, sql in (
        ("products", tpch.PRODUCTS_SQL),
        ("part_supply", tpch.PART_SUPPLY_SQL),
        ("order_lines", tpch.ORDER_LINES_SQL),
    ):
        connection.execute(
            f"CREATE TABLE {name} AS FROM ({sql.format(folder=folder)}) WHERE CAST(updated_at AS DATE) <= DATE '{until}'"
        )
    connection.execute(Path(__file__).with_name("gold_lines_oracle.sql").read_text())
    connection.execute(Path(__file__).with_name("gold_oracle.sql").read_text())
    known = [[row for row in rows if row["updated_on"] <= until] for rows in crm_sources.states(key)]
    for name, rows in zip(("account_states", "contact_states"), known, strict=True):
        connection.register(name, pa.Table.from_pylist([crm_sources.naive(row) for row in rows]))
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(
        "CREATE TABLE firsts AS SELECT customer_id, MIN(order_date) AS first_order_date FROM orders GROUP BY customer_id"
    )
    connection.execute(Path(__file__).with_name("dim_customer_oracle.sql").read_text())
    return connection, {
        **{
            f"silver/{name}s": f"SELECT {', '.join(BUSINESS[f'silver/{name}s'])} FROM {name}_states"  # noqa: S608
            for name in ("account", "contact")
        },
        "silver/fx_rates": "FROM rates",
        "silver/orders": "SELECT order_id, customer_id, order_status, order_date, currency, total_price, order_priority "
        "FROM orders",
        "silver/products": "SELECT product_id, name, manufacturer, brand, type, size, container, retail_price "
        "FROM products",
        "silver/part_supply": "SELECT product_id, supplier_id, CAST(updated_at AS DATE), available_quantity, "
        "supply_cost FROM part_supply",
        "silver/order_lines": "SELECT order_id, line_number, product_id, supplier_id, order_date, currency, quantity, "
        "extended_price, discount, tax, return_flag, line_status, ship_date, ship_mode FROM order_lines",
        **{table.name: f"FROM {table.name.replace('/', '_')}" for table in GOLD_TABLES},
    }


def _in_columns(table, rows):
    return sorted(tuple(row[name] for name in BUSINESS[table]) for row in rows)


def assert_equals_sources(cloud_, until):
    """Every silver and gold table of the lake equals DuckDB's computation over the raw sources, to the cent."""
    connection, tables = expected(until, cloud_.pii_key)
    for table, wanted in tables.items():
        names = BUSINESS[table]
        # a history of order lines is no thing to compare in Python
        connection.register("there", cloud_.rows(table, names).select(names))
        connection.execute(f"CREATE OR REPLACE TEMP TABLE wanted AS {wanted}")
        for kind, one, other in (("in excess", "there", "wanted"), ("missing", "wanted", "there")):
            rows = connection.sql(f"(FROM {one}) EXCEPT ALL (FROM {other}) LIMIT 3").fetchall()
            assert rows == [], f"{table}: {kind}"


DAY = datetime.timedelta(days=1)
