from collections.abc import Iterator

import boto3
import pytest
from lambdas_world import MemoryStore, create_ledger
from moto import mock_aws

from lambdas.store import Create, Replace, Store


@pytest.fixture(params=["dynamodb", "memory"])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    """The table, and its stand-in in the other tests: both must keep every promise below."""
    if request.param == "memory":
        yield MemoryStore()
        return
    with mock_aws():
        client = boto3.client("dynamodb", "eu-west-1", aws_access_key_id="testing", aws_secret_access_key="testing")
        create_ledger(client, "ledger")
        yield Store(client, "ledger")


def item(sk: str = "a", **values: object) -> dict[str, object]:
    return {"pk": "p", "sk": sk, **values}


def test_item_comes_back_as_it_was_written(store: Store) -> None:
    assert store.write(Create(item(count=3, name="orders ü", held=True, nothing=None, pairs={"a": ["1-0-0", "x"]})))
    assert store.get("p", "a") == {
        "pk": "p",
        "sk": "a",
        "count": 3,
        "name": "orders ü",
        "held": True,
        "pairs": {"a": ["1-0-0", "x"]},
        "rev": 1,
    }


def test_missing_item_is_none(store: Store) -> None:
    assert store.get("p", "a") is None
    assert store.items("p") == []


def test_item_is_created_once(store: Store) -> None:
    assert store.write(Create(item(by="first")))
    assert not store.write(Create(item(by="second")))
    assert store.get("p", "a") == {"pk": "p", "sk": "a", "by": "first", "rev": 1}


def test_change_of_what_was_seen_is_made(store: Store) -> None:
    store.write(Create(item(status="OPEN", token="t")))
    assert store.write(Replace({"pk": "p", "sk": "a", "rev": 1}, {"status": "SUCCEEDED", "token": None}))
    assert store.get("p", "a") == {"pk": "p", "sk": "a", "status": "SUCCEEDED", "rev": 2}


def test_change_of_what_has_changed_since_is_refused(store: Store) -> None:
    store.write(Create(item(status="OPEN")))
    seen = store.get("p", "a") or {}
    assert store.write(Replace(seen, {"status": "FIRST"}))
    assert not store.write(Replace(seen, {"status": "SECOND"}))
    assert store.get("p", "a") == {"pk": "p", "sk": "a", "status": "FIRST", "rev": 2}


def test_change_of_a_missing_item_is_refused(store: Store) -> None:
    assert not store.write(Replace({"pk": "p", "sk": "a", "rev": 1}, {"status": "X"}))
    assert store.get("p", "a") is None


@pytest.mark.parametrize(
    "spoilt", [pytest.param(0, id="first"), pytest.param(1, id="second"), pytest.param(2, id="third")]
)
def test_several_writes_are_made_together_or_not_at_all(store: Store, spoilt: int) -> None:
    store.write(Create(item("old", status="OPEN")))
    seen = {"pk": "p", "sk": "old", "rev": 1}
    good: list[Create | Replace] = [Create(item("new1")), Replace(seen, {"status": "DONE"}), Create(item("new2"))]
    bad: list[Create | Replace] = [
        Create(item("old")),
        Replace({**seen, "rev": 7}, {"status": "DONE"}),
        Create(item("old")),
    ]
    mixed = [bad[index] if index == spoilt else write for index, write in enumerate(good)]
    if spoilt != 1:
        mixed = [write for write in mixed if not isinstance(write, Replace)]  # one write an item in a transaction
    assert not store.write(*mixed)
    assert [each["sk"] for each in store.items("p")] == ["old"]
    assert store.write(*good)
    assert [(each["sk"], each.get("status")) for each in store.items("p")] == [
        ("new1", None),
        ("new2", None),
        ("old", "DONE"),
    ]


def test_items_are_those_of_the_prefix_in_order(store: Store) -> None:
    for sk in ("step#b", "run", "step#a", "stepping"):
        store.write(Create(item(sk)))
    store.write(Create({"pk": "other", "sk": "step#c"}))
    assert [each["sk"] for each in store.items("p", "step#")] == ["step#a", "step#b"]
    assert len(store.items("p")) == 4


def test_items_between_two_keys_have_both_of_them_in_the_order_of_str(store: Store) -> None:
    names = ["a", "b", "\uffee", "\U0001f600", "\u00fc"]  # UTF-16 would put the fourth before the third
    for sk in names:
        store.write(Create(item(sk)))
    store.write(Create({"pk": "other", "sk": "c"}))
    assert [each["sk"] for each in store.between("p", "b", "\U0001f600")] == sorted(names)[1:]
    assert [each["sk"] for each in store.between("p", "aa", "\u00fd")] == ["b", "\u00fc"]
    assert store.between("p", "c", "d") == []


def test_names_that_dynamodb_reserves_are_fine(store: Store) -> None:
    store.write(Create(item(status="a", round=1, error="e", schemas={})))
    assert store.write(Replace({"pk": "p", "sk": "a", "rev": 1}, {"round": 2, "error": None, "timestamp": "t"}))
    found = store.get("p", "a") or {}
    assert (found["round"], found["timestamp"], "error" in found) == (2, "t", False)
