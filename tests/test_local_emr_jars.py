from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path

import pytest

from local.emr import jars


def pinned() -> dict[str, str]:
    """Artifact to version, as ivy.xml names them."""
    definition = (jars.DEFINITION / "ivy.xml").read_text(encoding="utf-8")
    return dict(re.findall(r'name="([^"]+)" rev="([^"]+)" transitive="false"', definition))


def test_every_pinned_jar_has_a_digest_and_no_other() -> None:
    assert sorted(jars.expected_digests()) == sorted(f"{name}-{rev}.jar" for name, rev in pinned().items())


def test_delta_and_hadoop_are_those_of_the_python_packages() -> None:
    assert pinned()["delta-spark_4.1_2.13"] == version("delta-spark")
    assert (jars.spark_home() / "jars" / f"hadoop-client-api-{pinned()['hadoop-aws']}.jar").is_file()
    assert version("pyspark").startswith("4.1.")


def test_pyspark_ships_none_of_the_pinned_jars() -> None:
    shipped = {re.sub(r"-\d.*", "", path.name) for path in (jars.spark_home() / "jars").glob("*.jar")}
    assert shipped & set(pinned()) == set()


def test_a_resolved_folder_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in jars.expected_digests():
        (tmp_path / name).touch()
    (tmp_path / jars.STAMP).write_text(jars.definition_digest(), encoding="utf-8")
    monkeypatch.setattr(jars, "_retrieve", lambda _folder: pytest.fail("it was fetched again"))
    assert len(jars.resolve(tmp_path)) == len(pinned())


def test_a_jar_that_is_not_the_pinned_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def retrieve(folder: Path) -> None:
        for name in jars.expected_digests():
            (folder / name).write_bytes(b"something else")

    monkeypatch.setattr(jars, "_retrieve", retrieve)
    with pytest.raises(jars.JarsError, match=r"annotations-2.29.52.jar is not the pinned jar .* run this again"):
        jars.resolve(tmp_path)
    assert not (tmp_path / jars.STAMP).exists()


def test_without_java_one_sentence_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    assert jars.main([str(tmp_path / "jars")]) == 1
    assert capsys.readouterr().err == f"jars: there is no java on the PATH; {jars.JAVA_HELP}\n"
