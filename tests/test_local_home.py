import os
import subprocess
import sys

import pytest

from local.home import CloudAlreadyUpError, CloudState, Home

STATE = CloudState(pid=1, port=4577, standin_ports={"snowflake": 4578})


def test_a_second_cloud_in_the_same_home_is_refused(tmp_path):
    home = Home(tmp_path)
    with home.lock(), pytest.raises(CloudAlreadyUpError, match="up already"), home.lock():
        pass


def test_the_state_of_a_killed_cloud_is_not_believed(tmp_path):
    home = Home(tmp_path)
    holder = (
        "import os, signal\nfrom pathlib import Path\nfrom local.home import *\nhome = Home(Path(os.environ['H']))\n"
    )
    holder += "with home.lock():\n    home.write(CloudState(pid=1, port=4577, standin_ports={'snowflake': 4578}))\n"
    holder += "    os.kill(os.getpid(), signal.SIGKILL)\n"
    subprocess.run([sys.executable, "-c", holder], env=os.environ | {"H": str(tmp_path)}, check=False)
    assert (tmp_path / "cloud.json").exists()
    assert home.read() is None
    assert not home.is_held()


def test_the_state_of_a_running_cloud_is_read_back(tmp_path):
    home = Home(tmp_path)
    with home.lock():
        home.write(STATE)
        assert home.read() == STATE
    assert STATE.endpoint_url == "http://127.0.0.1:4577"


def test_what_a_cloud_kept_is_found_by_the_next_one(tmp_path):
    kept = Home(tmp_path).kept
    kept.open()
    (kept.folder / "ledger").write_text("day1")
    kept.close()
    assert kept.is_whole
    kept.open()
    assert (kept.folder / "ledger").read_text() == "day1"


def test_what_a_killed_cloud_left_is_dropped(tmp_path):
    kept = Home(tmp_path).kept
    kept.open()
    kept.close()
    kept.open()
    (kept.folder / "ledger").write_text("half of day1")
    assert not kept.is_whole
    kept.open()
    assert list(kept.folder.iterdir()) == []


def test_what_was_kept_can_be_forgotten(tmp_path):
    kept = Home(tmp_path).kept
    kept.open()
    kept.close()
    kept.forget()
    assert not kept.is_whole
