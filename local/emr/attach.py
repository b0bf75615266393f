"""The Python driver of one job, attached to the warm JVM.

It runs as a process of its own, started before its job is known: pyspark is imported by then. It reads one line of
JSON from its standard input, becomes the job, and dies with it. The input stays open as a watch: when the laptop cloud
is gone, so is the job. Run as a file; the project's own packages are not on its path.
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import sys
import threading
import types
from pathlib import Path
from typing import Any

import boto3  # noqa: F401  # imported ahead of the job, as pyspark is
import delta.tables  # noqa: F401
import pyspark.sql.functions
import pyspark.sql.types  # noqa: F401
from py4j.java_gateway import JavaClass, JavaMember
from pyspark import SparkConf, SparkContext
from pyspark.java_gateway import launch_gateway
from pyspark.sql import SparkSession

# What pyspark asks the JVM for anew with each column of a plan, and the JVM then seeks in each of 340 jars.
CLASSES = (
    "org.apache.spark.sql.functions",
    "org.apache.spark.api.python.PythonUtils",
    "org.apache.spark.sql.api.python.PythonSQLUtils",
)


class KnownClass(JavaClass):  # type: ignore[misc]  # py4j has no types
    """A class of the JVM whose methods are asked for once."""

    def __getattr__(self, name: str) -> Any:
        member = super().__getattr__(name)
        if isinstance(member, JavaMember):
            self.__dict__[name] = member
        return member


def main() -> None:
    """Wait for a job, run it as `__main__`."""
    line = sys.stdin.readline()
    if not line:
        return
    job = json.loads(line)
    become(job)
    context = attach(job)
    try:
        run(job)
    except SystemExit as ended:
        if ended.code:
            raise
    finally:
        shutil.rmtree(context._temp_dir, ignore_errors=True)
    leave()


def become(job: dict[str, Any]) -> None:
    """Take on the job's working directory, environment, Python path, argv and logs."""
    watch = os.dup(0)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    threading.Thread(target=_die_with_parent, args=(watch,), daemon=True).start()
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        log = os.open(job[name], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        os.dup2(log, descriptor)
        os.close(log)
    Path(job["pid_file"]).write_text(str(os.getpid()), encoding="utf-8")
    os.chdir(job["working_folder"])
    os.environ.update(job["environment"])
    # What the job ships comes first. The checkout, on the path of a development install, must not stand in for it.
    installed = [entry for entry in sys.path if entry.startswith((sys.prefix, sys.base_prefix))]
    sys.path[:] = [str(Path(job["entry_point"]).parent), *job["python_path"], *installed]
    if job["python_path"]:
        os.environ["PYTHONPATH"] = ":".join(job["python_path"])
    sys.argv = [job["entry_point"], *job["arguments"]]


def _die_with_parent(watch: int) -> None:
    while os.read(watch, 4096):
        pass
    os._exit(1)


def attach(job: dict[str, Any]) -> SparkContext:
    """Join the JVM with a session of the job's own, and make `SparkSession.builder.getOrCreate()` find it."""
    os.environ["PYSPARK_GATEWAY_PORT"] = str(job["gateway_port"])
    os.environ["PYSPARK_GATEWAY_SECRET"] = job["gateway_secret"]
    gateway = launch_gateway()  # type: ignore[no-untyped-call]
    del os.environ["PYSPARK_GATEWAY_PORT"], os.environ["PYSPARK_GATEWAY_SECRET"]
    jvm: Any = gateway.jvm
    for name in CLASSES:
        known = KnownClass(name, gateway._gateway_client)
        for spelled in (name, name.rpartition(".")[2]):
            setattr(jvm, spelled, known)
    root = jvm.org.apache.spark.sql.classic.SparkSession.builder().getOrCreate()
    jsc = jvm.JavaSparkContext.fromSparkContext(root.sparkContext())
    conf = SparkConf(_jconf=jsc.getConf())  # a copy
    conf.setAll(list(job["conf"].items()))
    for owner, name, replacement in (
        # The JVM outlives the job.
        (SparkContext, "stop", lambda _self: None),
        (SparkSession, "stop", lambda _self: None),
        (SparkContext, "addPyFile", _add_py_file),
    ):
        setattr(owner, name, replacement)
    context = SparkContext(gateway=gateway, jsc=jsc, conf=conf)
    context._conf = conf  # what the job was submitted with
    context.environment.update(job["worker_environment"])
    java_session = root.newSession()
    session = SparkSession(context, java_session)  # also the default session of both sides
    _configure(session, jsc, job)
    jvm.SparkSession.setDefaultSession(java_session)
    jvm.SparkSession.setActiveSession(java_session)
    context.setJobGroup(job["job_run_id"], job["name"], True)
    return context


def _configure(session: SparkSession, jsc: Any, job: dict[str, Any]) -> None:
    hadoop_conf = jsc.hadoopConfiguration()
    for name, value in job["hadoop_conf"].items():
        # On the session for SQL and Delta, on the context for RDDs; the cloud resets the latter after the job.
        session.conf.set(name, value)
        hadoop_conf.set(name, value)
    for name, value in job["conf"].items():
        if session.conf.isModifiable(name) or not name.startswith("spark.sql."):
            try:
                session.conf.set(name, value)
            except Exception as error:  # noqa: BLE001  # a setting of the cluster, such as spark.executor.memory
                print(f"laptop cloud: {name} has no effect here ({type(error).__name__})", file=sys.stderr)
        elif session.conf.get(name, "") != value:
            print(f"laptop cloud: {name} is fixed to {session.conf.get(name, '')!r} here", file=sys.stderr)


def _add_py_file(self: SparkContext, path: str) -> None:
    folder = path if path.endswith((".zip", ".egg", ".whl")) else str(Path(path).parent)
    if folder not in sys.path:
        sys.path.insert(1, folder)
    self.environment["PYTHONPATH"] = f"{folder}:{self.environment.get('PYTHONPATH', '')}"


def run(job: dict[str, Any]) -> None:
    """Run the entry point as spark-submit does: as the module `__main__`."""
    module = types.ModuleType("__main__")
    module.__file__ = job["entry_point"]
    sys.modules["__main__"] = module
    code = compile(Path(job["entry_point"]).read_bytes(), job["entry_point"], "exec")
    exec(code, module.__dict__)  # noqa: S102  # running the job is what this process is for


def leave() -> None:
    """End well and at once: what the interpreter would take a tenth of a second to take apart ends with the process.

    Source: Python 3.11, multiprocessing/process.py, which ends a forked process so.
    """
    threading._shutdown()  # type: ignore[attr-defined]  # waits for the job's threads
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
