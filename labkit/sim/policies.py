# SPDX-License-Identifier: MIT
"""Policies by name: those of kernel/sched, those built here, and files of one's own.

What `%%policy` and `labkit policy build --name` make is kept in a folder of the user's:
`$LABKIT_POLICIES`, else `labkit/policies` in `$XDG_DATA_HOME` or `~/.local/share`.
"""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labkit.sim._simulator import ffi, lib
from labkit.sim.errors import ChoiceError


@dataclass(frozen=True)
class Option:
    """An option of a policy; a value is a whole number or one of `choices`.

    `count` is 0, or the name is followed by a number from 0 up to, not including, `count`.
    """

    name: str
    help: str
    default: str
    allowed: str
    count: int


@dataclass(frozen=True)
class Policy:
    """What a policy says of itself. `path` is its file; None: it comes with labkit."""

    name: str
    summary: str
    options: tuple[Option, ...]
    may_starve: bool
    may_idle: bool
    path: Path | None


def folder() -> Path:
    """Where policies built here are kept."""
    own = os.environ.get("LABKIT_POLICIES")
    if own:
        return Path(own)
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "labkit" / "policies"


def shipped() -> tuple[str, ...]:
    """Names of the policies that come with labkit, the usual one first."""
    names, i = [], 0
    while lib.umcg_policies[i] != ffi.NULL:
        names.append(_text(lib.umcg_policies[i].name))
        i += 1
    return tuple(names)


def built() -> tuple[str, ...]:
    """Names of the policies that were built here."""
    return tuple(sorted(path.stem for path in folder().glob("*.so")))


def _text(of: Any) -> str:
    return "" if of == ffi.NULL else str(ffi.string(of).decode(errors="replace"))


def is_file(name: str) -> bool:
    """Does this name a file rather than a policy? As umcg_choose() sees it."""
    return "/" in name or name.endswith(".so")


def split(text: str) -> tuple[str, str]:
    """A policy as it is asked for, `NAME:OPTIONS`, in its two parts."""
    folder, slash, last = text.rpartition("/")
    name, _, options = last.partition(":")
    return folder + slash + name, options


def files_in(words: Iterable[Any]) -> list[Path]:
    """The files that are there under these names, also with `:OPTIONS`: what a command reads."""
    paths = (Path(split(word)[0]) for word in words if isinstance(word, str))
    return [path for path in paths if path.is_file()]


def resolve(text: str) -> str:
    """The text with the file of a policy that was built here, as umcg_choose() knows only files.

    Raises:
        ChoiceError: there is no policy of that name, with those there are.
    """
    name, options = split(text)
    if is_file(name) or name in shipped():
        return text
    own = folder() / f"{name}.so"
    if name and own.is_file():
        return f"{own}:{options}" if options else str(own)
    known = (*shipped(), *built())
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}? There" if near else "there"
    raise ChoiceError(
        f"there is no policy {name!r}; {hint} are {', '.join(known)}, and files of your own by"
        " their path, ./NAME.so"
    )


def _option(of: Any) -> Option:
    choices = _text(of.choices)
    if choices:
        allowed, default = choices.replace("|", ", "), choices.split("|")[of.otherwise]
    else:
        allowed, default = f"{of.min} to {of.max}", str(of.otherwise)
    return Option(_text(of.name), _text(of.help), default, allowed, of.count)


def describe(policy: Any) -> Policy:
    """What a `const struct umcg_policy *` says of itself."""
    options, i = [], 0
    while policy.options != ffi.NULL and policy.options[i].name != ffi.NULL:
        options.append(_option(policy.options[i]))
        i += 1
    return Policy(
        name=_text(policy.name),
        summary=_text(policy.summary),
        options=tuple(options),
        may_starve=bool(policy.flags & lib.UMCG_MAY_STARVE),
        may_idle=bool(policy.flags & lib.UMCG_MAY_IDLE),
        path=None,
    )


def from_json(text: str, path: Path) -> Policy:
    """The policy that look.py has described."""
    fields = json.loads(text)
    options = tuple(Option(**option) for option in fields.pop("options"))
    return Policy(**{**fields, "options": options, "path": path})


def of_labkit(name: str) -> Policy:
    """What a policy that comes with labkit says of itself."""
    return describe(lib.umcg_policies[shipped().index(name)])
