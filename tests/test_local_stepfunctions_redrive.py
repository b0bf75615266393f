"""What a redrive runs again, by AWS's table of states.

Source: https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from executions import Machines, items, machine, sequence, task


class Boom(Exception):  # noqa: N818  the error name that a retrier would know
    pass


@pytest.fixture
def machines(monkeypatch: pytest.MonkeyPatch) -> Machines:
    return Machines(monkeypatch)


def echo(event: Any) -> Any:
    return event


def failing(times: int, only: Any = None) -> Callable[[Any], Any]:
    """A function that fails its first `times` calls, or those with the event `only`."""
    left = Counter({"calls": times})

    def function(event: Any) -> Any:
        if (only is None or event == only) and left["calls"] > 0:
            left["calls"] -= 1
            raise Boom(f"not yet: {event}")
        return event

    return function


def test_a_task_runs_again_and_the_states_before_it_do_not(machines: Machines) -> None:
    machines.function("a", echo)
    machines.function("b", failing(1))
    machines.function("c", echo)
    definition = machine("A", A=task("a", Next="B"), B=task("b", Next="C"), C=task("c"))
    execution = machines.start(definition, 1)
    assert execution.wait().error == "Boom"
    assert machines.calls == ["a:1", "b:1"]
    assert execution.redrive().output() == 1
    assert machines.calls == ["a:1", "b:1", "b:1", "c:1"]


def test_retries_start_afresh(machines: Machines) -> None:
    machines.function("b", failing(3))
    retry = [{"ErrorEquals": ["Boom"], "MaxAttempts": 1, "IntervalSeconds": 1, "JitterStrategy": "FULL"}]
    execution = machines.start(machine("B", B=task("b", Retry=retry)), 1)
    assert execution.wait().error == "Boom"
    assert execution.redrive().output() == 1
    assert machines.calls == ["b:1"] * 4


def test_variables_and_input_are_kept(machines: Machines) -> None:
    machines.function("b", failing(1))
    assign = {"quoted": 'it\'s "x" \\ y', "none": None, "rows": [1, None]}
    kept = {"input": "{% $states.input %}", "quoted": "{% $quoted %}", "none": "{% $none %}", "rows": "{% $rows %}"}
    definition = machine(
        "A",
        A={"Type": "Pass", "Assign": assign, "Output": {"day": "2026-07-30"}, "Next": "B"},
        B=task("b", Output=kept),
    )
    execution = machines.start(definition)
    assert execution.wait().error == "Boom"
    assert execution.redrive().output() == {"input": {"day": "2026-07-30"}, **assign}


def test_the_count_and_the_time_are_in_the_context(machines: Machines) -> None:
    machines.function("b", failing(2))
    output = "{% [$states.context.Execution.RedriveCount, $exists($states.context.Execution.RedriveTime)] %}"
    first = machines.start(machine("P", P={"Type": "Pass", "Output": output, "End": True}))
    assert first.output() == [0, False]
    execution = machines.start(machine("B", B=task("b", Output=output)), 1)
    assert execution.wait().status == "FAILED"
    assert execution.redrive().wait().status == "FAILED"
    assert execution.redrive().output() == [2, True]


def test_the_history_goes_on(machines: Machines) -> None:
    machines.function("b", failing(1))
    execution = machines.start(machine("B", B=task("b")), 1)
    execution.wait()
    execution.redrive().wait()
    assert execution.types() == [
        *("ExecutionStarted", "TaskStateEntered", "TaskScheduled", "TaskStarted", "TaskFailed", "ExecutionFailed"),
        *("ExecutionRedriven", "TaskStateEntered", "TaskScheduled", "TaskStarted", "TaskSucceeded"),
        *("TaskStateExited", "ExecutionSucceeded"),
    ]
    assert [event["id"] for event in execution.events] == list(range(1, 14))
    assert [event["previousEventId"] for event in execution.events] == [0, 0, *range(2, 13)]
    assert execution.events[6]["executionRedrivenEventDetails"] == {"redriveCount": 1}


def test_parallel_runs_only_the_failed_branch_from_its_failed_state(machines: Machines) -> None:
    first_is_done = threading.Event()
    fail_once = failing(1)

    def fail_after_the_first(event: Any) -> Any:
        assert first_is_done.wait(20)
        return fail_once(event)

    for name in ("a", "b1"):
        machines.function(name, echo)
    machines.function("b2", fail_after_the_first)
    branches = [sequence("A", A=task("a")), sequence("B1", B1=task("b1", Next="B2"), B2=task("b2"))]
    execution = machines.start(machine("P", P={"Type": "Parallel", "Branches": branches, "End": True}), 1)
    execution.wait_for("TaskStateExited", 2)
    execution.wait_for_branch(0)
    first_is_done.set()
    assert execution.wait().error == "Boom"
    machines.calls.clear()
    assert execution.redrive().output() == [1, 1]
    assert machines.calls == ["b2:1"]


def test_parallel_resumes_an_aborted_branch_where_it_was(machines: Machines) -> None:
    machines.function("a1", echo)
    machines.function("a2", echo)
    a_waits, has_failed, is_over = threading.Event(), threading.Event(), threading.Event()

    def fail_once(event: Any) -> Any:
        if not has_failed.is_set():
            has_failed.set()
            assert a_waits.wait(20)
            raise Boom
        return event

    def wait_once(event: Any) -> Any:
        if not a_waits.is_set():
            a_waits.set()
            assert is_over.wait(20)  # still at work when its sibling fails
        return event

    machines.function("slow", wait_once)
    machines.function("b", fail_once)
    first = sequence("A1", A1=task("a1", Next="Slow"), Slow=task("slow", Next="A2"), A2=task("a2"))
    branches = [first, sequence("B", B=task("b"))]
    execution = machines.start(machine("P", P={"Type": "Parallel", "Branches": branches, "End": True}), 1)
    execution.wait()
    is_over.set()
    threading.Event().wait(0.2)
    assert Counter(machines.calls) == {"a1:1": 1, "slow:1": 1, "b:1": 1}  # a2 was not run on after the failure
    machines.calls.clear()
    assert execution.redrive().output() == [1, 1]
    assert Counter(machines.calls) == {"slow:1": 1, "a2:1": 1, "b:1": 1}


def test_map_runs_failed_and_not_started_iterations(machines: Machines) -> None:
    machines.function("i", failing(1, only=3))
    definition = machine("M", M=items(sequence("I", I=task("i")), MaxConcurrency=1))
    execution = machines.start(definition, [1, 2, 3, 4])
    assert execution.wait().error == "Boom"
    assert machines.calls == ["i:1", "i:2", "i:3"]
    machines.calls.clear()
    assert execution.redrive().output() == [1, 2, 3, 4]
    assert machines.calls == ["i:3", "i:4"]


def test_map_inside_parallel(machines: Machines) -> None:
    a_is_done = threading.Event()
    fail_once = failing(1, only=2)

    def fail_after_the_other_branch(event: Any) -> Any:
        assert a_is_done.wait(20)
        return fail_once(event)

    for name in ("a", "i"):
        machines.function(name, echo)
    machines.function("j", fail_after_the_other_branch)
    inner = items(sequence("I", I=task("i", Next="J"), J=task("j")), MaxConcurrency=1)
    branches = [sequence("M", M=inner), sequence("A", A=task("a"))]
    execution = machines.start(machine("P", P={"Type": "Parallel", "Branches": branches, "End": True}), [1, 2, 3])
    execution.wait_for_branch(1)
    a_is_done.set()
    assert execution.wait().error == "Boom"
    machines.calls.clear()
    assert execution.redrive().output() == [[1, 2, 3], [1, 2, 3]]
    assert machines.calls == ["j:2", "i:3", "j:3"]


def test_variables_of_an_iteration_are_kept(machines: Machines) -> None:
    machines.function("i", failing(1, only=2))
    set_variable = {"Type": "Pass", "Assign": {"mine": "{% 'item ' & $states.input %}"}, "Next": "I"}
    processor = sequence("S", S=set_variable, I=task("i", Output="{% $mine & ' of ' & $ours %}"))
    definition = machine(
        "A",
        A={"Type": "Pass", "Assign": {"ours": "us"}, "Next": "M"},
        M=items(processor, MaxConcurrency=1, Assign={"all": "{% $states.result %}"}, Next="Z"),
        Z={"Type": "Pass", "Output": "{% $all %}", "End": True},
    )
    execution = machines.start(definition, [1, 2])
    execution.wait()
    assert execution.redrive().output() == ["item 1 of us", "item 2 of us"]
    assert Counter(machines.calls) == {"i:1": 1, "i:2": 2}


def test_all_branches_run_again_when_the_data_was_too_large(machines: Machines) -> None:
    sizes = {"a": 140_000, "b": 140_000}

    def large(name: str) -> Callable[[Any], Any]:
        return lambda _: "x" * sizes[name]

    machines.function("a", large("a"))
    machines.function("b", large("b"))
    branches = [sequence("A", A=task("a")), sequence("B", B=task("b"))]
    execution = machines.start(machine("P", P={"Type": "Parallel", "Branches": branches, "End": True}))
    assert execution.wait().error == "States.DataLimitExceeded"
    sizes["b"] = 1
    machines.calls.clear()
    assert [len(output) for output in execution.redrive().output()] == [140_000, 1]
    assert sorted(machines.calls) == ["a", "b"]


def test_fail_fails_again_and_nothing_runs(machines: Machines) -> None:
    machines.function("a", echo)
    definition = machine("A", A=task("a", Next="F"), F={"Type": "Fail", "Error": "Nope", "Cause": "because"})
    execution = machines.start(definition, 1)
    execution.wait()
    for _ in range(2):
        outcome = execution.redrive().wait()
        assert (outcome.status, outcome.error, outcome.cause) == ("FAILED", "Nope", "because")
    assert machines.calls == ["a:1"]
    assert execution.types().count("FailStateEntered") == 3


def test_choice_is_evaluated_again(machines: Machines) -> None:
    choices = [{"Condition": "{% $states.context.Execution.RedriveCount > 0 %}", "Next": "Ok"}]
    execution = machines.start(machine("C", C={"Type": "Choice", "Choices": choices}, Ok={"Type": "Succeed"}))
    assert execution.wait().error == "States.NoChoiceMatched"
    assert execution.redrive().wait().status == "SUCCEEDED"


def test_aborted_executions_redrive(machines: Machines) -> None:
    machines.function("a", echo)
    machines.function("wait", lambda event: event)
    definition = machine("A", A=task("a", Next="W"), W=task("wait", waits=True, TimeoutSeconds=60))
    execution = machines.start(definition, 1)
    execution.wait_for("TaskSubmitted")
    assert execution.run.stop("Stopped", "by hand")
    assert execution.wait().status == "ABORTED"
    machines.calls.clear()
    execution.redrive().wait_for("TaskSubmitted", 2)
    assert machines.calls == ["wait"]
    execution.run.stop(None, None)


def test_timed_out_executions_redrive_with_a_new_timer(machines: Machines) -> None:
    slow = threading.Event()
    machines.function("a", echo)
    machines.function("i", lambda event: slow.wait(5) and event)
    definition = {**machine("A", A=task("a", Next="M"), M=items(sequence("I", I=task("i")))), "TimeoutSeconds": 1}
    execution = machines.start(definition, [1, 2])
    assert execution.wait().status == "TIMED_OUT"
    assert execution.types()[-1] == "ExecutionTimedOut"
    slow.set()
    machines.calls.clear()
    assert execution.redrive().output() == [1, 2]
    assert sorted(machines.calls) == ["i:1", "i:2"]


def test_a_retry_of_map_without_redrive_runs_every_iteration(machines: Machines) -> None:
    machines.function("i", failing(1, only=2))
    retry = [{"ErrorEquals": ["Boom"], "MaxAttempts": 1, "IntervalSeconds": 1, "JitterStrategy": "FULL"}]
    execution = machines.start(machine("M", M=items(sequence("I", I=task("i")), MaxConcurrency=1, Retry=retry)), [1, 2])
    assert execution.output() == [1, 2]
    assert machines.calls == ["i:1", "i:2", "i:1", "i:2"]


def test_a_redriven_map_that_is_retried_runs_every_iteration(machines: Machines) -> None:
    machines.function("i", failing(3, only=2))
    retry = [{"ErrorEquals": ["Boom"], "MaxAttempts": 1, "IntervalSeconds": 1, "JitterStrategy": "FULL"}]
    execution = machines.start(machine("M", M=items(sequence("I", I=task("i")), MaxConcurrency=1, Retry=retry)), [1, 2])
    execution.wait()
    machines.calls.clear()
    assert execution.redrive().output() == [1, 2]
    assert machines.calls == ["i:2", "i:1", "i:2"]


def test_a_wait_is_not_repeated_before_the_state_that_failed(machines: Machines) -> None:
    machines.function("b", failing(1))
    wait = {"Type": "Wait", "Seconds": 1, "Next": "B"}
    execution = machines.start(machine("W", W=wait, B=task("b")), 1)
    execution.wait()
    assert execution.redrive().output() == 1
    assert execution.types().count("WaitStateEntered") == 1


@pytest.mark.parametrize("seed", range(20))
def test_any_order_of_stopping_and_redriving_ends_well(machines: Machines, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311  a schedule, no secret
    pause = threading.Event()
    machines.function("f", lambda event: pause.wait(chance.random() / 50) or event)
    processor = sequence("I", I=task("f", Next="J", TimeoutSeconds=5), J=task("f"))
    definition = machine("A", A=task("f", Next="M"), M=items(processor, Next="Z"), Z=task("f", TimeoutSeconds=5))
    execution = machines.start(definition, [1, 2, 3])
    for _ in range(5):
        pause.wait(chance.random() / 20)
        if not execution.run.stop(None, None):
            break
        execution.wait()
        execution.redrive()
    assert execution.output() == [1, 2, 3]
    types = execution.types()
    assert [event["id"] for event in execution.events] == list(range(1, len(types) + 1))
    assert types[-1] == "ExecutionSucceeded"
    assert types.count("ExecutionAborted") == types.count("ExecutionRedriven") == execution.redrives
    after_abort = {types[number + 1] for number, found in enumerate(types) if found == "ExecutionAborted"}
    assert after_abort <= {"ExecutionRedriven"}
