"""One thread, one virtual clock, one seed: what runs next never depends on anything else.

Code that sleeps, waits or starts threads runs unchanged: its modules see stand-ins for threading, time, datetime, uuid
and random (see `virtual`), and control moves only where it waits. What is due at the same moment is drawn by the seed.
"""

from __future__ import annotations

import copy
import datetime
import heapq
import random
import threading
import time
import types
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from greenlet import GreenletExit, getcurrent, greenlet

START = datetime.datetime(2026, 7, 31, 6, 0, tzinfo=datetime.UTC)
_PLAIN = frozenset({str, int, float, bool, type(None)})


class Kernel:
    """The clock, in seconds since START, and what is to happen."""

    def __init__(self, seed: int) -> None:
        self.now = 0.0
        self.random = random.Random(seed)  # noqa: S311
        self.skew_seconds = 0.0
        self._draw = random.Random(seed ^ 0x5EED).random  # noqa: S311
        self._queue: list[tuple[float, float, int, _Due]] = []
        self._count = 0
        self._live: dict[greenlet, None] = {}
        self._hub = getcurrent()

    def at(self, seconds: float, act: Callable[[], Any]) -> _Due:
        """Do something so many seconds from now."""
        self._count += 1
        due = _Due(act)
        heapq.heappush(self._queue, (self.now + max(0.0, seconds), self._draw(), self._count, due))
        return due

    def spawn(self, work: Callable[[], Any]) -> greenlet:
        """Start `work` beside what runs now."""

        def body(*_: Any) -> None:
            try:
                work()
            except GreenletExit:
                pass
            finally:
                self._live.pop(worker, None)

        worker = greenlet(body, parent=self._hub)
        self._live[worker] = None
        self.at(0, lambda: self._switch(worker, None))
        return worker

    def sleep(self, seconds: float) -> None:
        """Let that much time pass for the caller."""
        worker = getcurrent()
        self.at(seconds, lambda: self._switch(worker, None))
        self._hub.switch()

    def park(self, waiters: list[_Waiter], timeout: float | None) -> bool:
        """Wait among `waiters` to be woken; False when the time was up first."""
        waiter = _Waiter(getcurrent())
        waiters.append(waiter)
        if timeout is not None:

            def late() -> None:
                waiters.remove(waiter)
                self._switch(waiter.worker, False)

            waiter.due = self.at(timeout, late)
        return bool(self._hub.switch())

    def wake(self, waiters: list[_Waiter]) -> None:
        """Wake all of them."""
        for waiter in waiters:
            if waiter.due is not None:
                waiter.due.act = None
            self.at(0, lambda worker=waiter.worker: self._switch(worker, True))  # type: ignore[misc]
        waiters.clear()

    def run(self, until: Callable[[], bool], limit_seconds: float) -> None:
        """Let things happen until there is nothing more, or the condition holds, or the time is up."""
        while self._queue and not until():
            when, _, _, due = heapq.heappop(self._queue)
            if due.act is None:
                continue
            if when > limit_seconds:
                return
            self.now = max(self.now, when)
            due.act()

    def close(self) -> None:
        """End whatever still waits."""
        for worker in list(self._live):
            if worker:
                worker.throw(GreenletExit)
        self._live.clear()
        self._queue.clear()

    def moment(self) -> datetime.datetime:
        """The time, UTC, as a process with a skewed clock sees it."""
        return START + datetime.timedelta(seconds=self.now + self.skew_seconds)

    @staticmethod
    def _switch(worker: greenlet, value: object) -> None:
        if not worker.dead:
            worker.switch(value)


class _Due:
    __slots__ = ("act",)

    def __init__(self, act: Callable[[], Any]) -> None:
        self.act: Callable[[], Any] | None = act


class _Waiter:
    __slots__ = ("due", "worker")

    def __init__(self, worker: greenlet) -> None:
        self.worker = worker
        self.due: _Due | None = None


_kernel: Kernel | None = None


def the() -> Kernel:
    """The kernel of the schedule that runs."""
    assert _kernel is not None, "no schedule runs"
    return _kernel


@contextmanager
def running(kernel: Kernel) -> Iterator[Kernel]:
    """A block in which the stand-ins use this kernel."""
    global _kernel
    before, _kernel = _kernel, kernel
    try:
        yield kernel
    finally:
        kernel.close()
        _kernel = before


class Event:
    """threading.Event."""

    def __init__(self) -> None:
        self._is_set = False
        self._waiters: list[_Waiter] = []

    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        self._is_set = True
        if self._waiters:
            the().wake(self._waiters)

    def clear(self) -> None:
        self._is_set = False

    def wait(self, timeout: float | None = None) -> bool:
        return self._is_set or the().park(self._waiters, timeout)


class Lock:
    """threading.Lock and RLock: nothing runs in between, so there is nothing to keep out."""

    def acquire(self, *_: Any, **__: Any) -> bool:
        return True

    def release(self) -> None:
        pass

    def __enter__(self) -> bool:
        return True

    def __exit__(self, *_: object) -> None:
        pass


class Thread:
    """threading.Thread."""

    def __init__(
        self,
        group: None = None,  # noqa: ARG002  threading's signature
        target: Callable[..., Any] = lambda: None,
        name: str = "",
        args: Iterable[Any] = (),
        kwargs: dict[str, Any] | None = None,
        *,
        daemon: bool | None = None,
    ) -> None:
        self.name, self.daemon = name, daemon
        self._work = lambda: target(*args, **(kwargs or {}))
        self._ended = Event()

    def start(self) -> None:
        def work() -> None:
            try:
                self._work()
            finally:
                self._ended._is_set = True

        the().spawn(work)


class Timer:
    """threading.Timer."""

    def __init__(self, interval: float, function: Callable[[], Any]) -> None:
        self.daemon = False
        self._interval, self._function = interval, function
        self._due: _Due | None = None

    def start(self) -> None:
        self._due = the().at(self._interval, lambda: the().spawn(self._function))

    def cancel(self) -> None:
        if self._due is not None:
            self._due.act = None


class _AnyDatetime(type):
    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, datetime.datetime)


class Datetime(datetime.datetime, metaclass=_AnyDatetime):
    """datetime.datetime, by the virtual clock."""

    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> Any:
        moment = the().moment()
        return moment.astimezone(tz) if tz else moment.replace(tzinfo=None)


def random_uuid() -> uuid.UUID:
    """uuid.uuid4, by the seed."""
    return uuid.UUID(int=the().random.getrandbits(128), version=4)


def plain_copy(value: Any, memo: Any = None) -> Any:
    """copy.deepcopy, quick for JSON; the engine copies its state at every step."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is dict:
        return {key: plain_copy(member) for key, member in value.items()}
    if kind is list:
        return [plain_copy(member) for member in value]
    if kind.__module__ == "moto.stepfunctions.parser.asl.eval.program_state":
        return copy.copy(value)
    return copy.deepcopy(value, memo)


class _Random:
    def __getattr__(self, name: str) -> Any:
        return random.Random if name == "Random" else getattr(the().random, name)


def _like(module: types.ModuleType, **changes: Any) -> types.ModuleType:
    double = types.ModuleType(module.__name__)
    double.__dict__.update({name: value for name, value in vars(module).items() if not name.startswith("__")})
    double.__dict__.update(changes)
    return double


def _now() -> float:
    return the().moment().timestamp()


_THREADING = _like(threading, Event=Event, Lock=Lock, RLock=Lock, Thread=Thread, Timer=Timer)
_TIME = _like(time, sleep=lambda seconds: the().sleep(seconds), time=_now, monotonic=lambda: the().now)
_STAND_INS: list[tuple[object, object]] = [
    (threading, _THREADING),
    (threading.Thread, Thread),
    (threading.Event, Event),
    (threading.Lock, Lock),
    (time, _TIME),
    (datetime, _like(datetime, datetime=Datetime)),
    (datetime.datetime, Datetime),
    (uuid, _like(uuid, uuid4=random_uuid)),
    (uuid.uuid4, random_uuid),
    (random, _Random()),
    (copy, _like(copy, deepcopy=plain_copy)),
    (copy.deepcopy, plain_copy),
]


@contextmanager
def virtual(modules: Iterable[types.ModuleType]) -> Iterator[None]:
    """A block in which the globals of modules that mean a clock, a thread or chance mean the kernel's."""
    by_id = {id(real): stand_in for real, stand_in in _STAND_INS}
    changed = []
    for module in modules:
        for name, value in list(vars(module).items()):
            if id(value) in by_id:
                changed.append((module, name, value))
                setattr(module, name, by_id[id(value)])
    try:
        yield
    finally:
        for module, name, value in reversed(changed):
            setattr(module, name, value)
