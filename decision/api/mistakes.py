"""What is wrong with a body that was refused: the validator says where, the types say what was expected there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import inspect

from decision.errors import InvalidInput
from decision.programme.section import unknown

_STEP = re.compile(r"\.(\w+)|\[(\d+|\.\.\.)\]")
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(.*)`", re.DOTALL)
_EXPECTED = {
    "Invalid RFC3339 encoded datetime": "a time such as 2026-11-21T10:00:00Z",
    "Invalid decimal string": 'a decimal such as "49.90"',
}


def mistake_in(body: bytes | msgspec.Raw, said: str, *, shape: Any, root: str) -> InvalidInput:
    """Return the error for JSON that the validator refused for the type `shape`, having `said` why.

    `root` is where in the request the body stands.
    """
    sentence, _, path = said.partition(" - at `")
    pointer, kind, found = _walk(msgspec.json.decode(body), inspect.type_info(shape), path.rstrip("`"))
    pointer, ending = root + pointer, "."
    if field := _UNKNOWN.fullmatch(sentence):
        pointer = f"{pointer}.{field[1]}"
        sentence = unknown("field", field[1], tuple(_fields(kind)))
        ending = "" if sentence.endswith("?") else "."
    elif field := _MISSING.fullmatch(sentence):
        pointer = f"{pointer}.{field[1]}"
        sentence = f"expected the field {field[1]!r}, found nothing"
    elif sentence in _EXPECTED:
        sentence = f"expected {_EXPECTED[sentence]}, found {found!r}"
    elif sentence.startswith("Invalid enum value"):
        sentence = f"expected one of {', '.join(_choices(kind))}, found {found!r}"
    elif " matching regex " in sentence:
        sentence = f"expected {_about(kind)}, found {found!r}"
    return InvalidInput(
        f"At {pointer}: {sentence}{ending}", hint="See /docs for the shape of the body.", pointer=pointer
    )


def _walk(value: Any, kind: inspect.Type, path: str) -> tuple[str, inspect.Type, Any]:
    """Return the pointer, the type and the value at a path, the key named where the validator wrote `[...]`."""
    pointer = ""
    for step in _STEP.finditer(path):
        for inner in _alternatives(kind):
            if step[1] and isinstance(inner, inspect.StructType):
                kind = next(f.type for f in inner.fields if f.encode_name == step[1])
                pointer, value = f"{pointer}.{step[1]}", _at(value, step[1])
                break
            if step[2] == "..." and isinstance(inner, inspect.DictType):
                kind, key = inner.value_type, _first_refused(value, inner.value_type)
                pointer, value = f"{pointer}.{key}", _at(value, key)
                break
            if step[2] and isinstance(inner, inspect.VarTupleType | inspect.ListType):
                kind, value = inner.item_type, _at(value, int(step[2]))
                pointer = f"{pointer}[{step[2]}]"
                break
    return pointer, kind, value


def _at(value: Any, key: str | int) -> Any:
    """Return what a value holds at a key; None where a body that names a key twice held it the first time only."""
    try:
        return value[key]
    except (LookupError, TypeError):
        return None


def _alternatives(kind: inspect.Type) -> Iterator[inspect.Type]:
    """Yield a type without what is said about it, and each that it may be."""
    if isinstance(kind, inspect.Metadata):
        yield from _alternatives(kind.type)
    elif isinstance(kind, inspect.UnionType):
        for inner in kind.types:
            yield from _alternatives(inner)
    else:
        yield kind


def _first_refused(values: Any, kind: inspect.Type) -> str:
    wanted = {_PYTHON.get(type(inner), object) for inner in _alternatives(kind)}
    wanted |= {int} if float in wanted else set()
    items = values.items() if isinstance(values, dict) else ()
    return next((key for key, value in items if type(value) not in wanted), "...")


# The types that the values of our objects have, as `msgspec.json.decode` returns them.
_PYTHON = {inspect.NoneType: type(None), inspect.BoolType: bool, inspect.StrType: str, inspect.FloatType: float}


def _fields(kind: inspect.Type) -> Iterator[str]:
    for inner in _alternatives(kind):
        if isinstance(inner, inspect.StructType):
            yield from (field.encode_name for field in inner.fields)


def _choices(kind: inspect.Type) -> Iterator[str]:
    for inner in _alternatives(kind):
        if isinstance(inner, inspect.LiteralType):
            yield from map(str, inner.values)


def _about(kind: inspect.Type) -> str:
    """Return the description of a type, as OpenAPI has it; unions hold it with the alternative."""
    if isinstance(kind, inspect.Metadata):
        return str((kind.extra_json_schema or {}).get("description", ""))
    if isinstance(kind, inspect.UnionType):
        return next(filter(None, map(_about, kind.types)), "")
    return ""
