"""Conditional reads and writes of one DynamoDB table: every write names the revision it has seen.

An item is a flat dict with the keys pk and sk and a number rev that each write raises by one. A write whose item is
not as it was seen is refused, so a caller that lost an answer, or a race, reads again and decides anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError

from lambdas.aws import error_code

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

_typer = TypeSerializer()
_plain = TypeDeserializer()
REFUSALS = {"ConditionalCheckFailed", "ConditionalCheckFailedException", "TransactionConflict", "None"}

Item = dict[str, Any]


@dataclass(frozen=True)
class Create:
    """An item that must not exist yet."""

    item: Mapping[str, Any]


@dataclass(frozen=True)
class Replace:
    """Changes to an item that must still be at the revision that was seen; None removes an attribute."""

    seen: Mapping[str, Any]
    changes: Mapping[str, Any] = field(default_factory=dict)


class Store:
    """The ledger's table.

    Args:
        client: DynamoDB.
        table: the table's name; its keys are pk (hash) and sk (range).
    Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.ConditionExpressions.html
    """

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def get(self, pk: str, sk: str) -> Item | None:
        """The item as of now, or None."""
        answer = self._client.get_item(TableName=self._table, Key=_typed({"pk": pk, "sk": sk}), ConsistentRead=True)
        found = answer.get("Item")
        return _untyped(found) if found else None

    def items(self, pk: str, prefix: str = "") -> list[Item]:
        """All items under pk whose sk starts with the prefix, in the order of sk."""
        if not prefix:
            return self._query("pk = :pk", {":pk": pk})
        return self._query("pk = :pk AND begins_with(sk, :prefix)", {":pk": pk, ":prefix": prefix})

    def between(self, pk: str, first: str, last: str) -> list[Item]:
        """All items under pk from one sk to another, both among them, in the order of sk: that of UTF-8, as of str."""
        return self._query("pk = :pk AND sk BETWEEN :first AND :last", {":pk": pk, ":first": first, ":last": last})

    def _query(self, condition: str, values: Mapping[str, str]) -> list[Item]:
        found: list[Item] = []
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression=condition,
            ExpressionAttributeValues=_typed(values),
            ConsistentRead=True,
        )
        for page in pages:
            found.extend(_untyped(item) for item in page["Items"])
        return found

    def write(self, *writes: Create | Replace) -> bool:
        """Make all the writes, or none.

        Returns:
            False when an item was not as it was seen. After a lost answer False may also mean that the write was
            made: read again.
        """
        try:
            if len(writes) == 1:
                request = self._request(writes[0])
                put = isinstance(writes[0], Create)
                (self._client.put_item if put else self._client.update_item)(**request)
            else:
                entries = [{"Put" if isinstance(write, Create) else "Update": self._request(write)} for write in writes]
                self._client.transact_write_items(TransactItems=entries)  # type: ignore[arg-type]
        except ClientError as error:
            if error_code(error) == "ConditionalCheckFailedException" or _cancelled_by_condition(error):
                return False
            raise
        return True

    def _request(self, write: Create | Replace) -> dict[str, Any]:
        if isinstance(write, Create):
            item = {name: value for name, value in write.item.items() if value is not None} | {"rev": 1}
            return {
                "TableName": self._table,
                "Item": _typed(item),
                "ConditionExpression": "attribute_not_exists(pk)",
            }
        sets = {name: value for name, value in write.changes.items() if value is not None}
        removes = [name for name, value in write.changes.items() if value is None]
        sets["rev"] = write.seen["rev"] + 1
        names = {f"#{index}": name for index, name in enumerate([*sets, *removes])}
        aliases = {name: alias for alias, name in names.items()}
        expression = "SET " + ", ".join(f"{aliases[name]} = :{aliases[name][1:]}" for name in sets)
        if removes:
            expression += " REMOVE " + ", ".join(aliases[name] for name in removes)
        values = {f":{aliases[name][1:]}": value for name, value in sets.items()} | {":seen": write.seen["rev"]}
        return {
            "TableName": self._table,
            "Key": _typed({"pk": write.seen["pk"], "sk": write.seen["sk"]}),
            "UpdateExpression": expression,
            "ConditionExpression": f"{aliases['rev']} = :seen",
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": _typed(values),
        }


def _cancelled_by_condition(error: ClientError) -> bool:
    if error_code(error) != "TransactionCanceledException":
        return False
    reasons = error.response.get("CancellationReasons", [])
    return bool(reasons) and all(reason.get("Code", "None") in REFUSALS for reason in reasons)


def _typed(values: Mapping[str, Any]) -> Any:
    return {name: _typer.serialize(value) for name, value in values.items()}


def _untyped(values: Mapping[str, Any]) -> Item:
    return {name: _whole(_plain.deserialize(value)) for name, value in values.items()}


def _whole(value: Any) -> Any:
    # DynamoDB's numbers come back as Decimal; the ledger holds whole numbers only.
    if isinstance(value, Decimal):
        return int(value)
    if isinstance(value, dict):
        return {name: _whole(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_whole(inner) for inner in value]
    return value
