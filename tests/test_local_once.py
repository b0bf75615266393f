"""What is made once is whole or not there, whoever makes it."""

import pytest

from local.once import once


def test_it_is_made_once(tmp_path):
    path = tmp_path / "deep" / "file"
    assert once(path, lambda partial: partial.write_text("first")) == path
    once(path, lambda partial: partial.write_text("second"))
    assert path.read_text() == "first"
    assert [each.name for each in path.parent.iterdir()] == ["file"]


def test_a_failure_leaves_nothing_behind(tmp_path):
    def fail(partial):
        partial.mkdir()
        (partial / "half").touch()
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        once(tmp_path / "folder", fail)
    assert list(tmp_path.iterdir()) == []


def test_of_two_that_make_a_folder_the_first_stands(tmp_path):
    path = tmp_path / "folder"

    def beaten(partial):
        partial.mkdir()
        (partial / "mine").touch()
        path.mkdir()
        (path / "theirs").touch()

    once(path, beaten)
    assert [each.name for each in path.iterdir()] == ["theirs"]
    assert [each.name for each in tmp_path.iterdir()] == ["folder"]


def test_a_full_disk_is_not_hidden(tmp_path):
    def full(partial):
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        once(tmp_path / "folder", full)
