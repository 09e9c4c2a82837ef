# SPDX-License-Identifier: MIT
"""Policies written in C: compiled into shared objects that every host can load."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from labkit import repository
from labkit.sim import policies
from labkit.sim.errors import BuildError, ChoiceError

INCLUDE = repository.FOLDER / "kernel" / "sched" / "include"
FLAGS = ("-std=c11", "-O2", "-g", "-Wall", "-Wextra", "-fPIC", "-shared", "-fvisibility=hidden")

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def compiler() -> list[str]:
    """The C compiler as words: `$CC`, else cc, gcc or clang.

    Raises:
        BuildError: there is none.
    """
    own = shlex.split(os.environ.get("CC", ""))
    for name in [own[0]] if own else ["cc", "gcc", "clang"]:
        if shutil.which(name):
            return own or [name]
    raise BuildError(
        f"there is no C compiler{f' {own[0]!r}, which CC names' if own else ''}; install one"
        " (Debian: build-essential, macOS: xcode-select --install) or set CC"
    )


def check_name(name: str) -> None:
    """A policy's name is one of C and not one of labkit's own policies.

    Raises:
        ChoiceError: it is not.
    """
    if not _NAME.fullmatch(name):
        raise ChoiceError(f"{name!r} is no name for a policy; give letters, digits and _")
    if name in policies.shipped():
        raise ChoiceError(f"{name!r} is the name of a policy that comes with labkit; give another")


def compile_file(source: Path, target: Path) -> str:
    """Compile a C file into a shared object, wholly or not at all; returns the warnings.

    Raises:
        BuildError: it does not compile, with what the compiler says; `target` is as it was.
        OSError: the object cannot be written.
    """
    if not INCLUDE.is_dir():
        raise BuildError(f"{INCLUDE} is missing: {repository.WITHOUT}")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".build-", dir=target.parent) as folder:
        made = Path(folder) / target.name
        # The same text gives the same bytes, wherever it is: a sweep tells policies by these.
        here = source.absolute().parent
        flags = [*FLAGS, f"-I{INCLUDE}", f"-ffile-prefix-map={here}=."]
        done = subprocess.run(
            [*compiler(), *flags, source.name, "-o", str(made.absolute())],
            cwd=here,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            env=os.environ | {"LC_ALL": "C.UTF-8"},
        )
        said = done.stderr.strip()
        if done.returncode:
            raise BuildError(f"{source.name} does not compile:\n{said}")
        # The old file stays what it is for those that have loaded it.
        os.replace(made, target)
    return said


def build(text: str, name: str, line: int = 1, file: str = "") -> tuple[policies.Policy, str]:
    """Compile a policy's C text and keep it under its name, with the text beside it.

    Args:
        text: the C text, with `UMCG_POLICY(name, ...)` in it.
        name: how it is asked for from now on.
        line: number of its first line, for the compiler's messages.
        file: what these call the text; without: `NAME.c`.

    Returns:
        What the policy says of itself, and the compiler's warnings.

    Raises:
        ChoiceError: the name cannot be, or there is no such policy in the text.
        BuildError: it does not compile. The policy that had the name before is still there.
    """
    check_name(name)
    folder = policies.folder()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".build-", dir=folder) as scratch:
        source, made = Path(scratch) / f"{name}.c", Path(scratch) / f"{name}.so"
        source.write_text(f'#line {line} "{file or source.name}"\n{text}\n', encoding="utf-8")
        try:
            said = compile_file(source, made)
        except BuildError as error:
            raise BuildError(str(error).replace(f"{scratch}{os.sep}", "")) from None
        found = look(made)
        if found.name != name:
            raise ChoiceError(
                f"the text defines the policy {found.name!r} and is to be named {name!r}; write"
                f" UMCG_POLICY({name}, ...)"
            )
        os.replace(made, folder / made.name)
        (folder / f"{name}.c").write_text(text, encoding="utf-8")
    return policies.Policy(**{**vars(found), "path": folder / f"{name}.so"}), said


def look(path: Path) -> policies.Policy:
    """What the policy in a shared object says of itself; it is loaded in another process.

    Raises:
        ChoiceError: it is no shared object, has no policy, or one of another version.
    """
    done = subprocess.run(
        [sys.executable, "-m", "labkit.sim.look", str(path.absolute())],
        capture_output=True,
        encoding="utf-8",
        errors="replace",
    )
    if done.returncode < 0:
        raise ChoiceError(f"{path} crashes when it is loaded")
    if done.returncode:
        raise ChoiceError(done.stderr.strip().splitlines()[-1])
    return policies.from_json(done.stdout, path)
