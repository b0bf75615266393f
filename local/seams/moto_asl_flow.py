"""Repairs of how moto's interpreter runs states, branches and iterations, and of where a redrive starts again.

moto starts a thread for each state machine, state and branch; here one is started only where two things happen at
once.

Source: https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html (states on redrive).
"""

from __future__ import annotations

import contextlib
import copy
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from moto.stepfunctions.parser.api import ExecutionFailedEventDetails, HistoryEventType, MapIterationEventDetails
from moto.stepfunctions.parser.asl.component.common.error_name.custom_error_name import CustomErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEvent, FailureEventException
from moto.stepfunctions.parser.asl.component.common.timeouts.timeout import EvalTimeoutError
from moto.stepfunctions.parser.asl.component.program.program import Program
from moto.stepfunctions.parser.asl.component.state.exec.execute_state import ExecutionState
from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration.distributed_iteration_component import (
    DistributedIterationComponent,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration.inline_iteration_component import (
    InlineIterationComponent,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration.iteration_worker import IterationWorker
from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration.job import Job
from moto.stepfunctions.parser.asl.component.state.exec.state_parallel.branches_decl import BranchesDecl
from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails
from moto.stepfunctions.parser.asl.eval.program_state import ProgramEnded, ProgramError
from moto.stepfunctions.parser.asl.eval.states import ItemData, MapData

from local.seams.moto_asl_repair import repair
from local.seams.moto_asl_stops import Stopped, in_thread, stop, wait
from local.seams.moto_asl_trail import Trail


@repair(Program, "eval")
def _run_states(_: Any, self: Any, env: Any) -> None:
    """Run the states of a machine or branch in the caller's thread, from where its trail says.

    moto starts a thread and waits for it; the execution's own timeout is Run's business (moto_asl).
    """
    env.next_state_name = env.trail.resume(env) or self.start_at.start_at_name
    try:
        while env.is_running():
            state = self._get_state(env.next_state_name)
            env.trail.enter(env, state.name)
            state.eval(env)
            env.stack.clear()
            env.heap.clear()
    except FailureEventException as error:
        env.trail.fail(error.failure_event.error_name)
        env.set_error(error=error.get_execution_failed_event_details())
    except Exception as error:  # noqa: BLE001  as on AWS, what nobody foresaw ends the execution with States.Runtime
        cause = f"{type(error).__name__}({error})"
        env.set_error(ExecutionFailedEventDetails(error="States.Runtime", cause=cause))
    if isinstance(env.program_state(), ProgramEnded):
        env.trail.end(env.states.get_input())


@repair(ExecutionState, "_evaluate_with_timeout")
def _evaluate_in_time(_: Any, self: Any, env: Any) -> None:
    """Run one attempt of a state; in a thread only if it has a timeout, and stopped when that passes.

    moto always starts a thread, and leaves it running after the timeout.
    """
    self.timeout.eval(env=env)
    seconds = env.stack.pop()
    frame = env.open_frame()
    frame.states.reset(input_value=env.states.get_input())
    frame.stack = copy.deepcopy(env.stack)
    try:
        if self.timeout.is_default_value():
            self._eval_execution(frame)
        else:
            attempt = _Attempt(lambda: self._eval_execution(frame))
            if not wait(env, attempt.ended, seconds):
                stop(frame)
                raise EvalTimeoutError
            attempt.raise_error()
    finally:
        frame.set_ended()
        env.close_frame(frame)
    output = frame.stack.pop()
    env.stack.append(output)
    if not self._is_language_query_jsonpath():
        env.states.set_result(output)
    for step in (self.assign_decl, self.result_selector):
        if step:
            step.eval(env=env)
    if self.result_path:
        self.result_path.eval(env)
    else:
        env.states.reset(input_value=env.stack.pop())


class _Attempt:
    """`work` in a thread of its own; `ended` rings when it is over."""

    def __init__(self, work: Callable[[], None], name: str = "attempt") -> None:
        self.ended = threading.Event()
        self._error: Exception | None = None
        self._work = work
        in_thread(self._run, name)

    def _run(self) -> None:
        try:
            self._work()
        except Exception as error:  # noqa: BLE001  raised again in the thread that waits
            self._error = error
        except Stopped:
            return  # nobody waits
        self.ended.set()

    def raise_error(self) -> None:
        if self._error is not None:
            raise self._error


class _Team:
    """Branches or iterations run side by side, `limit` at a time; the first that fails stops the others."""

    def __init__(self, env: Any, jobs: Sequence[Callable[[], None]], frames: list[Any], limit: int) -> None:
        self._env, self._frames = env, frames
        self._waiting = list(reversed(jobs))
        self._lock = threading.Lock()
        self._left = min(limit, len(jobs))
        self._ended = threading.Event()
        self._error: Exception | None = None

    def run(self) -> None:
        """Return when all have ended; raise the error of the first that failed."""
        if self._left == 1:
            self._take_turns()
        elif self._left:
            for number in range(self._left):
                in_thread(self._run_in_thread, f"branch-{number}")
            wait(self._env, self._ended, None)
        if self._error is not None:
            raise self._error

    def _run_in_thread(self) -> None:
        with contextlib.suppress(Stopped):  # a sibling failed, or the execution was stopped: nobody waits
            self._take_turns()

    def _take_turns(self) -> None:
        try:
            while (job := self._next()) is not None:
                job()
        except Exception as error:  # noqa: BLE001  raised again in the thread that waits
            self._fail(error)
        with self._lock:
            self._left -= 1
            if self._left == 0:
                self._ended.set()

    def _next(self) -> Callable[[], None] | None:
        with self._lock:
            return self._waiting.pop() if self._waiting and self._error is None else None

    def _fail(self, error: Exception) -> None:
        with self._lock:
            if self._error is not None:
                return
            self._error = error
        for frame in self._frames:
            stop(frame)
        self._ended.set()


@repair(BranchesDecl, "_eval_body")
def _run_branches(_: Any, self: Any, env: Any) -> None:
    """Run the branches of a Parallel state; on a redrive only those that had not ended."""
    state_input = env.stack.pop()
    trails = env.trail.branches(len(self.programs))
    frames = []
    jobs = []
    for program, trail in zip(self.programs, trails, strict=True):
        if trail.has_ended:
            continue
        frame = env.open_inner_frame()
        frame.trail = trail
        frame.states.reset(input_value=state_input)
        frames.append(frame)
        jobs.append(partial(_run_branch, program, frame))
    try:
        _Team(env, jobs, frames, len(jobs)).run()
    finally:
        for frame in frames:
            env.close_frame(frame)
    env.stack.append([trail.output for trail in trails])


def _run_branch(program: Any, frame: Any) -> None:
    program.eval(frame)
    state = frame.program_state()
    if isinstance(state, ProgramError):
        raise _branch_failure(frame.parent, state, HistoryEventType.ExecutionFailed)


def _branch_failure(env: Any, state: ProgramError, event_type: HistoryEventType) -> FailureEventException:
    details = ExecutionFailedEventDetails(**(state.error or {}))
    return FailureEventException(
        FailureEvent(
            env=env,
            error_name=CustomErrorName(error_name=details.get("error")),
            event_type=event_type,
            event_details=EventDetails(executionFailedEventDetails=details),
        )
    )


@repair(InlineIterationComponent, "_eval_body")
def _run_iterations(_: Any, self: Any, env: Any) -> None:
    """Run the iterations of an inline Map; on a redrive only those that had not ended.

    moto leaves the siblings of a failed iteration running, starts a thread for each unit of MaxConcurrency whether
    there is an item for it or not, and nests a call for each item a thread takes, up to Python's limit.
    """
    request = env.stack.pop()
    trails = env.trail.branches(len(request.input_items))
    program = self._get_iteration_program()
    worker = self._create_worker(env=env, eval_input=request, job_pool=None)
    todo = [Job(index, program, item) for index, item in enumerate(request.input_items) if not trails[index].has_ended]
    limit = len(todo) if request.max_concurrency == 0 else min(request.max_concurrency, len(todo))
    frames = [_open_iteration(env, trails[job.job_index]) for job in todo]
    for job, frame in zip(todo[:limit], frames, strict=False):
        _tell_iteration(worker, frame, job, HistoryEventType.MapIterationStarted)
    jobs = [
        partial(_run_iteration, worker, job, frame, is_told=number < limit)
        for number, (job, frame) in enumerate(zip(todo, frames, strict=True))
    ]
    try:
        _Team(env, jobs, frames, limit).run()
    finally:
        for frame in frames:
            env.close_frame(frame)
    env.stack.append([trail.output for trail in trails])


def _open_iteration(env: Any, trail: Trail) -> Any:
    frame = env.open_inner_frame()
    frame.trail = trail
    return frame


def _tell_iteration(worker: IterationWorker, frame: Any, job: Job, event_type: HistoryEventType) -> None:
    details = MapIterationEventDetails(name=worker._work_name, index=job.job_index)
    field = f"m{event_type.value[1:]}EventDetails"
    frame.event_manager.add_event(
        context=frame.event_history_context,
        event_type=event_type,
        event_details=EventDetails(**{field: details}),  # a field a type of event
        update_source_event_id=event_type == HistoryEventType.MapIterationStarted,
    )


def _run_iteration(worker: IterationWorker, job: Job, frame: Any, *, is_told: bool) -> None:
    if not is_told:
        _tell_iteration(worker, frame, job, HistoryEventType.MapIterationStarted)
    frame.states.context_object.context_object_data["Map"] = MapData(
        Item=ItemData(Index=job.job_index, Value=job.job_input)
    )
    try:
        frame.states.reset(input_value=job.job_input)
        worker._eval_input(env_frame=frame)
        job.job_program.eval(frame)
        state = frame.program_state()
        if isinstance(state, ProgramError):
            raise _branch_failure(frame, state, HistoryEventType.MapIterationFailed)
    except Exception:
        _tell_iteration(worker, frame, job, HistoryEventType.MapIterationFailed)
        raise
    _tell_iteration(worker, frame, job, HistoryEventType.MapIterationSucceeded)
    # The state after the Map follows the last iteration's end in the history.
    frame.event_history_context.source_event_id = frame.event_history_context.last_published_event_id


@repair(DistributedIterationComponent, "_map_run")
def _run_children(_: Any, self: Any, env: Any, eval_input: Any) -> None:
    """Run the child executions of a distributed Map like iterations: stopped together, redriven one by one."""
    items = env.stack.pop()
    trails = env.trail.branches(len(items))
    program = self._get_iteration_program()
    worker = self._create_worker(env=env, eval_input=eval_input, job_pool=None)
    todo = [Job(index, program, item) for index, item in enumerate(items) if not trails[index].has_ended]
    limit = eval_input.map_run_record.max_concurrency or len(todo)
    frames = [_open_iteration(env, trails[job.job_index]) for job in todo]
    jobs = [partial(worker._eval_job, env=frame, job=job) for job, frame in zip(todo, frames, strict=True)]
    try:
        _Team(env, jobs, frames, limit).run()
    finally:
        for frame in frames:
            env.delete_frame(frame)
    env.stack.append([trail.output for trail in trails])
