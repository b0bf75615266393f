"""Where each branch of an execution has come to, in plain data, so that a redrive can start there.

On a redrive AWS runs again the state that failed, with its input and variables; in Parallel and inline Map only the
branches that failed or were aborted; all of them if the state's data was too large. What had ended is kept.

Source: https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html
"""

from __future__ import annotations

import copy
from typing import Any


class Trail:
    """The trail of one sequence of states: the execution itself, a branch, or an iteration.

    Args:
        data: empty for a new sequence, or what an earlier trail left in its `data`: state, input and variables of
            the state entered last; the trails of its branches; whether the sequence ended, and its output. All of
            it is JSON.
        is_redriven: start at the state that `data` names.
    """

    def __init__(self, data: dict[str, Any], *, is_redriven: bool = False) -> None:
        """Keep `data`, which is written in place."""
        self.data = data
        self._is_resuming = is_redriven and "state" in data
        self._keeps_branches = False

    @property
    def has_ended(self) -> bool:
        """Whether the sequence came to its end; only then `output` has a meaning."""
        return bool(self.data.get("has_ended"))

    @property
    def output(self) -> Any:
        """The output of the sequence."""
        return self.data.get("output")

    def resume(self, env: Any) -> str | None:
        """Restore input and variables of the state to start at, and name it; None to start at the beginning."""
        if not self._is_resuming:
            return None
        env.states.reset(input_value=self.data["input"])
        env.variable_store._inner_scope.update(copy.deepcopy(self.data["variables"]))
        return str(self.data["state"])

    def enter(self, env: Any, state: str) -> None:
        """Note that `state` begins; its branches are new, unless it is the one a redrive starts at."""
        self._keeps_branches = self._is_resuming
        if not self._is_resuming:
            variables = copy.deepcopy(env.variable_store._inner_scope)
            self.data.update(state=state, input=env.states.get_input(), variables=variables, branches=[])
        self._is_resuming = False

    def branches(self, count: int) -> list[Trail]:
        """The trails of the present state's branches: kept ones once after a redrive, new ones on each retry."""
        kept = self.data.get("branches", [])
        is_redriven = self._keeps_branches and len(kept) == count
        self._keeps_branches = False
        if not is_redriven:
            kept = self.data["branches"] = [{} for _ in range(count)]
        return [Trail(branch, is_redriven=is_redriven) for branch in kept]

    def fail(self, error_name: Any) -> None:
        """Forget the branches of a state whose data was too large: all of them run again on a redrive."""
        if error_name is not None and error_name.error_name == "States.DataLimitExceeded":
            self.data["branches"] = []

    def end(self, output: Any) -> None:
        """Note that the sequence ended with `output`."""
        self.data.update(has_ended=True, output=output)
