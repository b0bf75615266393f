"""How the modules of this seam replace parts of moto's interpreter, and a record of what they replaced.

Source: moto 5.2.5, moto/stepfunctions/parser (a copy of LocalStack's interpreter, Apache-2.0).
"""

from __future__ import annotations

import importlib
import inspect
import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from types import ModuleType
from typing import Any

MOTO_VERSION = "5.2.5"
_PACKAGE = "moto.stepfunctions.parser"


class _JobStatus(StrEnum):
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


def _import_interpreter() -> None:
    """Import every component of the interpreter, so that `replace_everywhere` sees each module that holds a name.

    Its Batch integration imports two names' worth of moto.batch, and that all of moto's EC2: half the time.
    """
    package, module = ModuleType("moto.batch"), ModuleType("moto.batch.utils")
    module.JobStatus = _JobStatus  # type: ignore[attr-defined]
    has_batch = "moto.batch" in sys.modules
    if not has_batch:
        sys.modules.update({"moto.batch": package, "moto.batch.utils": module})
    importlib.import_module(f"{_PACKAGE}.asl.parse.asl_parser")
    if not has_batch:
        del sys.modules["moto.batch"], sys.modules["moto.batch.utils"]


_import_interpreter()


@dataclass(frozen=True, kw_only=True)
class Repair:
    """One private name of moto that this seam replaces."""

    owner: str
    name: str
    parameters: tuple[str, ...]
    why: str


#: Everything replaced so far; the contract test reads it.
REPAIRS: list[Repair] = []

# The history tells of every failed state; moto would log each one as an error of its own, with the payload in it.
logging.getLogger(_PACKAGE).setLevel(logging.CRITICAL)


def repair(owner: Any, name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Replace the method or property `name` of `owner` by the decorated function.

    The function gets moto's own method as its first argument and the method's arguments after it. Its docstring says
    what was wrong.
    """

    def decorate(better: Callable[..., Any]) -> Callable[..., Any]:
        found = inspect.getattr_static(owner, name, None)
        if found is None:
            raise ImportError(f"moto {MOTO_VERSION} has {owner.__qualname__}.{name}, this one has not: repair it anew")
        moto_method = found.fget if isinstance(found, property) else getattr(owner, name)

        def method(*args: Any, **kwargs: Any) -> Any:
            return better(moto_method, *args, **kwargs)

        REPAIRS.append(
            Repair(
                owner=f"{owner.__module__}.{owner.__qualname__}",
                name=name,
                parameters=tuple(inspect.signature(moto_method or better).parameters),
                why=inspect.getdoc(better) or "",
            )
        )
        is_bound = isinstance(found, (staticmethod, classmethod))
        is_property = isinstance(found, property)
        setattr(owner, name, staticmethod(method) if is_bound else property(method) if is_property else method)
        return better

    return decorate


def replace_everywhere(name: str, moto_value: Any, better: Any, why: str) -> None:
    """Replace the global `name` in each module of moto's interpreter that imported it."""
    holders = [
        module
        for module_name, module in list(sys.modules.items())
        if module_name.startswith(_PACKAGE) and getattr(module, name, None) is moto_value
    ]
    if not holders:
        raise ImportError(f"moto {MOTO_VERSION} has no {name} in {_PACKAGE}; the seam was written against one that had")
    for module in holders:
        setattr(module, name, better)
    parameters = tuple(inspect.signature(moto_value).parameters) if callable(moto_value) else ()
    REPAIRS.append(Repair(owner=_PACKAGE, name=name, parameters=parameters, why=why))
