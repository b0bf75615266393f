"""Whether every value of a database's type is a value of a contract's type: bronze keeps what was received."""

from __future__ import annotations

from pyspark.sql.types import (
    ByteType,
    DataType,
    DecimalType,
    DoubleType,
    FloatType,
    IntegerType,
    LongType,
    ShortType,
    TimestampNTZType,
    TimestampType,
)

_DIGITS: dict[type[DataType], int] = {ByteType: 3, ShortType: 5, IntegerType: 10, LongType: 19}  # of whole numbers


def holds(wanted: DataType, given: DataType) -> bool:
    """Whether a cast from `given` to `wanted` keeps every value; a timestamp without a zone counts as one in UTC."""
    if type(wanted) is type(given) and not isinstance(wanted, DecimalType):
        return True
    if isinstance(wanted, DecimalType):
        whole, places = _digits(given)
        return whole <= wanted.precision - wanted.scale and places <= wanted.scale
    if type(wanted) in _DIGITS:
        whole, places = _digits(given)
        narrower = type(given) in _DIGITS and whole < _DIGITS[type(wanted)]
        return narrower or (isinstance(given, DecimalType) and places == 0 and whole < _DIGITS[type(wanted)])
    if isinstance(wanted, DoubleType):
        return isinstance(given, FloatType | ByteType | ShortType | IntegerType)
    return isinstance(wanted, TimestampType) and isinstance(given, TimestampNTZType)


def _digits(given: DataType) -> tuple[float, int]:
    """The digits before and after the point of a type's values; without end where it is no exact number."""
    if isinstance(given, DecimalType):
        return given.precision - given.scale, given.scale
    return _DIGITS.get(type(given), float("inf")), 0
