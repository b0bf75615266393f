"""One JVM with Spark in it, and what is done to it between two jobs.

Source: pyspark 4.1.1, java_gateway.py (how a gateway is started and joined); py4j 0.10.9, Gateway (what is lent to
Python, by name); Spark 4.1.1, PythonGatewayServer (ends when its standard input does), SessionCatalog.reset,
CacheManager, SharedState; Delta 4.2.0, DeltaLog.clearCache.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from py4j.clientserver import ClientServer, JavaParameters, PythonParameters
from py4j.protocol import Py4JError

from local.emr.jars import lean_spark_home
from local.emr.spark_settings import base_environment

START_SECONDS = 120
# How long a dead driver's calls may go on in the JVM before it is given up.
ZOMBIE_SECONDS = 10.0
INTERRUPT_AFTER_SECONDS = 2.0
CLEAN_UP_SECONDS = 60.0


class SparkJvmError(Exception):
    """The JVM did not start or does not answer."""


class SparkJvm:
    """A JVM whose Spark context is up. It ends when this process does: its standard input is a pipe from here.

    Attributes:
        port: of the gateway that drivers join, on loopback.
        secret: of that gateway.
    """

    def __init__(self, *, settings: Mapping[str, str], jars: Path, folder: Path, log: Path) -> None:
        """Start the process; `boot` waits for it."""
        folder.mkdir(parents=True, exist_ok=True)
        self._info = folder / "gateway"
        self._info.unlink(missing_ok=True)
        self.log = log
        self.port = 0
        self.secret = ""
        home = lean_spark_home(jars)
        options = [part for name, value in settings.items() for part in ("--conf", f"{name}={value}")]
        environment = {
            **base_environment(),
            "SPARK_HOME": str(home),
            "_PYSPARK_DRIVER_CONN_INFO_PATH": str(self._info),
            "SPARK_CONNECT_MODE": "0",
            # There is no such folder: the user's own spark-defaults have no say.
            "SPARK_CONF_DIR": str(home / "conf"),
        }
        command = [str(home / "bin" / "spark-submit"), "--master", "local[2]", "--name", "assay", *options]
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [*command, "pyspark-shell"],
                env=environment,
                cwd=folder,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def boot(self) -> None:
        """Wait for the gateway and start the Spark context.

        Raises:
            SparkJvmError: the process ended or is too slow.
        """
        deadline = time.monotonic() + START_SECONDS
        while not self._info.exists():
            if self.process.poll() is not None:
                raise SparkJvmError(f"Spark's JVM ended with exit code {self.process.returncode}; see {self.log}")
            if time.monotonic() > deadline:
                raise SparkJvmError(f"Spark's JVM was not up after {START_SECONDS} s; see {self.log}")
            time.sleep(0.02)
        with self._info.open("rb") as info:
            self.port = int.from_bytes(info.read(4), "big")
            self.secret = info.read(int.from_bytes(info.read(4), "big")).decode()
        self._info.unlink()
        self._gateway = ClientServer(
            java_parameters=JavaParameters(port=self.port, auth_token=self.secret, auto_convert=True),
            python_parameters=PythonParameters(port=0, eager_load=False),
        )
        self._jvm: Any = self._gateway.jvm
        self._spark = self._jvm.org.apache.spark.sql.classic.SparkSession.builder().getOrCreate()
        self._context = self._spark.sparkContext()
        hadoop_conf = self._context.hadoopConfiguration()
        # Added as a resource, so that what a job changes is undone by clearing and reloading.
        hadoop_conf.addResource(self._jvm.org.apache.hadoop.conf.Configuration(hadoop_conf))
        server: Any = self._gateway.java_gateway_server
        self._lent = server.getGateway().getBindings()
        self._own = self._jvm.java.util.HashSet(self._lent.keySet())
        self._own.add(self._own._target_id)

    def warm_up(self, folder: Path, *, wanted: Callable[[], bool]) -> None:
        """Load the classes that a first job would wait for: S3A, Delta's write, read and merge.

        Args:
            folder: for a table that nobody needs.
            wanted: asked before each step, so that a job that has come waits for one step at most.
        """
        table = f"delta.`{folder}/warm-up-{self.process.pid}`"
        rows = "select id, cast(id as string) as name from range(2)"
        bucket = self._jvm.java.net.URI("s3a://warm-up/")
        steps: list[Callable[[], Any]] = [
            lambda: self._jvm.org.apache.hadoop.fs.FileSystem.get(bucket, self._context.hadoopConfiguration()),
            lambda: self._spark.sql(f"create table {table} using delta as {rows}"),
            lambda: self._spark.sql(f"select name, count(*) from {table} group by name").collectAsList(),  # noqa: S608
            lambda: self._spark.sql(
                f"merge into {table} as target using ({rows}) as rows on target.id = rows.id "
                "when matched and target.name <> rows.name then update set * when not matched then insert *"
            ),
        ]
        for step in steps:
            if wanted():
                step()

    def sql(self, statement: str) -> None:
        """Run a statement to its end.

        Raises:
            SparkJvmError: it fails; how is in the message.
        """
        try:
            self._spark.sql(statement).collectAsList()
        except Py4JError as error:
            raise SparkJvmError(f"{' '.join(statement.split())}: {str(error)[:1000]}") from error

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self.process.poll() is None

    def clean_up(self, job_run_id: str, *, killed: bool) -> None:
        """Leave nothing of a job: sessions, caches, file systems with its role, temporary views, Python workers.

        Args:
            job_run_id: the group of the job's Spark jobs.
            killed: the driver did not end by itself, so its calls may still run here.

        Raises:
            SparkJvmError: the JVM is dead, or a call of the killed driver would not end.
        """
        watchdog = threading.Timer(CLEAN_UP_SECONDS, self.process.kill)
        watchdog.daemon = True
        watchdog.start()
        try:
            self._end_jobs(job_run_id, killed=killed)
            self._forget_job()
        except SparkJvmError:
            raise
        except Exception as error:
            raise SparkJvmError(f"Spark's JVM does not answer: {type(error).__name__}") from error
        finally:
            watchdog.cancel()

    def _end_jobs(self, job_run_id: str, *, killed: bool) -> None:
        for query in list(self._spark.sharedState().activeStreamingQueries().values()):
            query.stop()
        self._context.cancelJobGroupAndFutureJobs(job_run_id)
        self._context.cancelAllJobs()
        started = time.monotonic()
        while killed and (busy := self._calls_under_way()):
            waited = time.monotonic() - started
            if waited > ZOMBIE_SECONDS:
                raise SparkJvmError(f"a call of the killed driver went on for {ZOMBIE_SECONDS:.0f} s")
            if waited > INTERRUPT_AFTER_SECONDS:
                for thread in busy:
                    thread.interrupt()
            self._context.cancelAllJobs()
            time.sleep(0.05)

    def _calls_under_way(self) -> list[Any]:
        """Threads of the JVM in a driver's call: what one of them commits must land before the job counts as dead."""
        current = self._jvm.java.lang.Thread.currentThread().getName()
        busy = []
        for name, thread in self._threads("Thread-"):  # py4j's connections have no names of their own
            frames = thread.getStackTrace()
            lowest = {frames[i].getClassName() for i in range(max(0, len(frames) - 10), len(frames))}
            if name != current and any(frame.startswith("py4j.commands.") for frame in lowest):
                busy.append(thread)
        return busy

    def _threads(self, prefix: str) -> list[tuple[str, Any]]:
        """Threads by the beginning of their names."""
        every = self._jvm.java.lang.Thread.getAllStackTraces().keySet()
        threads = every.toArray()
        # One text for all of them: a call to the JVM for each of 300 threads takes seconds.
        names = re.findall(r"Thread\[([^,]*),", every.toString())
        if len(names) != len(threads):  # one that describes itself in its own way
            names = [thread.getName() for thread in threads]
        return [(name, thread) for name, thread in zip(names, threads, strict=True) if name.startswith(prefix)]

    def _forget_job(self) -> None:
        jvm, spark, context = self._jvm, self._spark, self._context
        jvm.org.apache.spark.sql.classic.SparkSession.setDefaultSession(spark)
        jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()
        spark.sharedState().cacheManager().clearCache()
        for rdd in list(jvm.org.apache.spark.api.java.JavaSparkContext(context).getPersistentRDDs().values()):
            rdd.unpersist(False)
        # Tables of the session catalog live as long as a job does, as in an application without a metastore.
        spark.sessionState().catalog().reset()
        # Cached file systems keep the role of the job that opened them.
        jvm.org.apache.hadoop.fs.FileSystem.closeAll()
        hadoop_conf = context.hadoopConfiguration()
        hadoop_conf.clear()
        hadoop_conf.reloadConfiguration()
        # Python daemons carry the job's environment, its keys among it.
        workers = list(jvm.java.lang.ProcessHandle.current().descendants().toArray())
        for process in workers:
            process.destroyForcibly()
        # Spark never ends the threads that watched them: one a job, for as long as the JVM lives.
        for _, thread in self._threads("Idle Worker Monitor") if workers else []:
            thread.interrupt()
        # A driver that ends does not give back what the JVM has lent it by name: its frames, with their plans and the
        # tables that those broadcast, 14 MB a job.
        self._lent.keySet().retainAll(self._own)

    def stop(self, *, seconds: float = 5) -> None:
        """End the process; what it does at its end gets a moment."""
        if self.process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.close()
        try:
            self.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
