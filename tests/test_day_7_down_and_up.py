"""The laptop cloud goes down in the middle of a day and comes up again: one redrive ends the day."""

import datetime

import pytest
from laptop import Laptop, assert_equals_sources

from local.processes import free_port
from ops import laptop as cloud

FIRST = datetime.date(2020, 4, 20)


@pytest.mark.slow
def test_a_day_is_redriven_after_down_and_up(monkeypatch, tmp_path):
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path))
    monkeypatch.setenv("ASSAY_PORT", str(free_port()))
    cloud.up(lambda _: None, fresh=True)
    try:
        before = Laptop()
        execution_arn = before.start(FIRST)
        running, _ = before.kill_when("bronze_to_silver", list)  # told when that step runs; nothing is killed
        running.join(240)
        cloud.down()
        cloud.up(lambda _: None)
        after = Laptop()
        ended = after.finish(execution_arn)
        assert (ended.status, ended.failure.error) == ("FAILED", "States.ServiceRestart")
        assert ended.plan.again == ("BronzeToSilver",)
        ended = after.redrive(ended)
        assert ended.status == "SUCCEEDED", ended.failure
        assert_equals_sources(after, FIRST)
    finally:
        cloud.down()
