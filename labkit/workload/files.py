# SPDX-License-Identifier: MIT
"""Workloads as JSON types and as files: `to_dict`, `from_dict`, `save`, `load`.

A part is its name over its fields: `{"bimodal": {"short": "10us", "long": "5ms", "share": 0.005}}`.
A part with one field may hold it directly, `{"compute": "10us"}`; a plain time is a constant, and
a phase without fields is its name. Fields left out have the default of their class.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w

from labkit.workload import rtapp
from labkit.workload.arrivals import ARRIVALS
from labkit.workload.distributions import DISTRIBUTIONS, Constant
from labkit.workload.model import Class, Workload
from labkit.workload.phases import PHASES
from labkit.workload.times import WorkloadError, text

_TIMES = {
    *("value", "mean", "low", "high", "short", "long", "median", "period", "offset", "start"),
    *("deadline", "duration"),
}
_TIME_LISTS = {"values", "times"}
_NAMES = {kind: name for table in (DISTRIBUTIONS, PHASES, ARRIVALS) for name, kind in table.items()}


def unknown(what: str, name: object, known: Mapping[str, Any]) -> WorkloadError:
    """The error for a name that is none of `known`, with the nearest and all of them."""
    near = difflib.get_close_matches(str(name), known, n=1)
    hint = f"did you mean {near[0]!r}? There" if near else "there"
    return WorkloadError(f"{what} {name!r} is unknown; {hint} are {', '.join(known)}")


def _value(name: str, value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return _part(value)
    if name in _TIMES:
        return text(value)
    if name in _TIME_LISTS:
        return [text(each) for each in value]
    if isinstance(value, tuple):
        return [_value("", each) for each in value]
    return value


def _fields(part: Any) -> dict[str, Any]:
    """The fields that do not have their default."""
    return {
        field.name: _value(field.name, getattr(part, field.name))
        for field in dataclasses.fields(part)
        if field.default is dataclasses.MISSING or getattr(part, field.name) != field.default
    }


def _part(part: Any) -> Any:
    if isinstance(part, Constant):
        return text(int(part.value))
    if isinstance(part, Class):
        return _fields(part)
    name, fields = _NAMES[type(part)], _fields(part)
    if not fields:
        return name
    if len(dataclasses.fields(part)) == 1:
        return {name: next(iter(fields.values()))}
    return {name: fields}


def to_dict(workload: Workload) -> dict[str, Any]:
    """The workload as JSON types; `from_dict` makes an equal one of it."""
    return _fields(workload)


def _make(kind: type, fields: Any, where: str) -> Any:
    """A part of class `kind` of its fields, each made first; `where` stands before every error."""
    known = {field.name: field for field in dataclasses.fields(kind)}
    # A part with one field may hold it directly: {"compute": {"exponential": "1ms"}}.
    if len(known) == 1 and not (isinstance(fields, Mapping) and known.keys() >= fields.keys()):
        fields = {next(iter(known)): fields}
    if not isinstance(fields, Mapping):
        raise WorkloadError(f"{where} is {fields!r}; give its fields: {', '.join(known) or 'none'}")
    given = {}
    for name, value in fields.items():
        if name not in known:
            raise WorkloadError(f"{where}: {unknown('field', name, known)}")
        given[name] = _read(name, value, where)
    for name, field in known.items():
        if name not in given and field.default is dataclasses.MISSING:
            raise WorkloadError(f"{where}: {name} is missing")
    try:
        return kind(**given)
    except WorkloadError as error:
        raise WorkloadError(f"{where}: {error}") from None


def _tagged(table: Mapping[str, type], what: str, value: Any, where: str) -> Any:
    """The part that `{"name": fields}` or a name alone stands for."""
    if isinstance(value, str):
        value = {value: {}}
    if not isinstance(value, Mapping) or len(value) != 1:
        raise WorkloadError(f"{where}: {what} is {value!r}; give one of {', '.join(table)}")
    name, fields = next(iter(value.items()))
    if name not in table:
        raise WorkloadError(f"{where}: {unknown(what, name, table)}")
    return _make(table[name], fields, f"{where}: {name}")


def _read(name: str, value: Any, where: str) -> Any:
    if name in ("time", "think"):
        return (
            _tagged(DISTRIBUTIONS, "distribution", value, where)
            if isinstance(value, Mapping)
            else value
        )
    if name == "arrivals":
        return _tagged(ARRIVALS, "arrivals", value, where)
    if name in ("phases", "classes"):
        if not isinstance(value, list | tuple):
            raise WorkloadError(f"{where}: {name} is {value!r}; give a list")
        if name == "phases":
            return tuple(
                _tagged(PHASES, "phase", each, f"{where}: phase {i}")
                for i, each in enumerate(value, start=1)
            )
        return tuple(_class(each, i) for i, each in enumerate(value, start=1))
    return tuple(value) if isinstance(value, list) else value


def _class(value: Any, number: int) -> Class:
    if not isinstance(value, Mapping):
        raise WorkloadError(f"class {number} is {value!r}; give its fields")
    name = value.get("name")
    made: Class = _make(Class, value, f"class {name!r}" if name else f"class {number}")
    return made


def from_dict(data: Mapping[str, Any]) -> Workload:
    """The workload that `to_dict` or a person wrote.

    Raises:
        WorkloadError: naming the class, the part and the value that cannot be.
    """
    if not isinstance(data, Mapping):
        raise WorkloadError(f"a workload is a table with classes, not {type(data).__name__}")
    made: Workload = _make(Workload, data, str(data.get("name", "workload")))
    return made


def load(path: str | os.PathLike[str]) -> Workload:
    """Read a workload from a .json or .toml file; a .json file may be rt-app's.

    Raises:
        FileNotFoundError: there is no such file.
        WorkloadError: it has another suffix, is no JSON or TOML, no workload, or rt-app's with what
            is not read of it.
    """
    source = Path(path)
    if source.suffix not in (".json", ".toml"):
        raise WorkloadError(f"{source}: a workload's file is .json or .toml")
    try:
        data = source.read_text(encoding="utf-8")
        found = rtapp.parse(data) if source.suffix == ".json" else tomllib.loads(data)
    except WorkloadError as error:
        raise WorkloadError(f"{source}: {error}") from None
    except ValueError as error:
        kind = source.suffix[1:].upper()
        raise WorkloadError(f"{source} is no {kind}: {error}") from None
    try:
        if isinstance(found, dict) and "tasks" in found and "classes" not in found:
            return rtapp.from_rtapp(found, source.stem)
        return from_dict(found)
    except WorkloadError as error:
        raise WorkloadError(f"{source}: {error}") from None


def save(workload: Workload, path: str | os.PathLike[str]) -> Path:
    """Write a workload to a .json or .toml file and return its path.

    Raises:
        WorkloadError: it has another suffix.
        OSError: the file cannot be written.
    """
    target = Path(path)
    data = to_dict(workload)
    if target.suffix == ".json":
        target.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    elif target.suffix == ".toml":
        target.write_text(tomli_w.dumps(data), encoding="utf-8")
    else:
        raise WorkloadError(f"{target}: a workload's file is .json or .toml")
    return target
