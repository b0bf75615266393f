"""Repairs of how moto's interpreter waits and stops.

moto lets a stopped branch run on until its next state, sleeps through waits whatever happens, and keeps every thread
it ever started in a list. Here stopping wakes whatever waits, and unwinds it.

Source: https://docs.aws.amazon.com/step-functions/latest/apireference/API_StopExecution.html
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from typing import Any

from moto.stepfunctions.parser import utils
from moto.stepfunctions.parser.asl.component.common.retry.max_attempts_decl import MaxAttemptsOutcome
from moto.stepfunctions.parser.asl.component.common.retry.retrier_decl import RetrierDecl
from moto.stepfunctions.parser.asl.component.common.retry.retrier_outcome import RetrierOutcome
from moto.stepfunctions.parser.asl.component.eval_component import EvalComponent
from moto.stepfunctions.parser.asl.component.state.wait.wait_function.wait_function import WaitFunction
from moto.stepfunctions.parser.asl.eval.environment import Environment

from local.seams.moto_asl_language import path_of_field, runtime_error
from local.seams.moto_asl_repair import repair, replace_everywhere
from local.seams.moto_asl_trail import Trail

# The longest wait AWS accepts, in seconds.
_LONGEST_WAIT = 2**31 - 1


class Stopped(BaseException):
    """Unwinds work nobody waits for any more: the execution was stopped, or a sibling branch failed."""


class _Forgetful(list[Any]):
    def append(self, _: Any) -> None:
        """Keep nothing."""


replace_everywhere("TMP_THREADS", utils.TMP_THREADS, _Forgetful(), "a list that kept every thread ever started")


@repair(Environment, "__init__")
def _frame(moto_init: Any, self: Any, *args: Any, **kwargs: Any) -> None:
    """Give each frame what stopping, redrive and error messages need."""
    moto_init(self, *args, **kwargs)
    self.parent = None
    self.is_stopped = False
    self.bells = set()
    self.fields = []
    self.trail = Trail({})
    self.event_history_context.frame = self


@repair(Environment, "as_inner_frame_of")
def _inner_frame(moto_inner_frame: Any, env: Any, **kwargs: Any) -> Any:
    """Tie a frame to the one it was opened in."""
    frame = moto_inner_frame(env=env, **kwargs)
    frame.parent, frame.trail, frame.fields = env, env.trail, list(env.fields)
    context = env.states.context_object.context_object_data
    if "Map" in context:  # moto drops it, and with it $states.context.Map inside a Task of an iteration
        frame.states.context_object.context_object_data["Map"] = context["Map"]
    return frame


def is_stopped(frame: Any) -> bool:
    """Whether `frame`, or one that it was opened in, was stopped."""
    while frame is not None:
        if frame.is_stopped:
            return True
        frame = frame.parent
    return False


def stop(frame: Any) -> None:
    """Wake whatever waits in `frame` and in those opened in it, and let it unwind."""
    frame.is_stopped = True
    for bell in list(frame.bells):
        bell.set()
    for inner in list(frame._frames):
        stop(inner)


def wait(env: Any, bell: threading.Event, seconds: float | None) -> bool:
    """Wait for `bell`, `seconds` at most.

    Returns:
        Whether it rang.

    Raises:
        Stopped: the frame was stopped meanwhile.
    """
    env.bells.add(bell)
    try:
        # Looked at after the bell hangs: a stop in between would not ring it.
        has_rung = not is_stopped(env) and bell.wait(None if seconds is None else max(0.0, seconds))
    finally:
        env.bells.discard(bell)
    if is_stopped(env):
        raise Stopped
    return has_rung


def in_thread(work: Callable[[], None], name: str) -> None:
    """Run `work` in a thread of its own, in the account and region of the caller."""
    threading.Thread(target=contextvars.copy_context().run, args=(work,), name=name, daemon=True).start()


@repair(Environment, "set_stop")
def _stop(moto_set_stop: Any, self: Any, *args: Any, **kwargs: Any) -> None:
    """Wake what waits; moto's branches noticed at their next state, and waits for a token not at all."""
    moto_set_stop(self, *args, **kwargs)
    stop(self)


@repair(EvalComponent, "eval")
def _evaluate(_: Any, self: Any, env: Any) -> None:
    """Unwind when stopped, and know the path of the field for messages.

    moto skips the components of a stopped branch one by one, and the values they did not compute make errors of
    their own in the history.
    """
    if is_stopped(env):
        raise Stopped
    if not env.is_running():
        return
    name = self._field_name()
    if name is not None:
        env.next_field_name = name
    field = path_of_field(self)
    if field is not None:
        env.fields.append(field)
    try:
        self._eval_body(env)
    finally:
        if field is not None:
            env.fields.pop()


@repair(EvalComponent, "heap_key")
def _heap_key(_: Any, self: Any) -> int:
    """Count retries under a key that does not change.

    moto draws a random one when it first needs it, so two executions that share a parsed definition could draw two and
    one of them lose its count.
    """
    return id(self)


@repair(RetrierDecl, "_eval_body")
def _retry(_: Any, self: Any, env: Any) -> None:
    """Wait between attempts so that a stop ends the wait; moto sleeps through it."""
    self.error_equals.eval(env)
    if not env.stack.pop():
        env.stack.append(RetrierOutcome.Skipped)
        return
    self.max_attempts.eval(env=env)
    if env.stack.pop() == MaxAttemptsOutcome.EXHAUSTED:
        env.stack.append(RetrierOutcome.Failed)
        return
    for step in (self.interval_seconds, self.backoff_rate, self.max_delay_seconds, self.jitter_strategy):
        step.eval(env=env)
    wait(env, threading.Event(), env.stack.pop())
    env.stack.append(RetrierOutcome.Executed)


@repair(WaitFunction, "_wait_interval")
def _wait(_: Any, __: Any, env: Any, wait_seconds: float) -> None:
    """Wait so that a stop ends it, and refuse what AWS refuses; moto would wait for centuries."""
    if wait_seconds > _LONGEST_WAIT:
        raise runtime_error(env, "Wait state delay is too long.")
    wait(env, threading.Event(), wait_seconds)
