# SPDX-License-Identifier: MIT
"""The simulator's C, and policies of one's own, ask for nothing that only Linux has.

`test_elsewhere.py` is the same for Python. Where `pip install ziglang` has been done, all of it is
compiled and linked for macOS, too, against the headers and the list of symbols of its libSystem.
"""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from labkit.sim import _simulator, build, building

SOURCES = (
    *sorted(build.HERE.glob("*.c")),
    *sorted((build.SCHED / "src").glob("*.c")),
    *sorted((build.SCHED / "policies").glob("*.c")),
)
INCLUDES = (f"-I{build.HERE}", f"-I{build.SCHED / 'include'}")

#: Of C11 and POSIX.1-2008 with XSI, what the simulator uses; macOS has all of it.
STANDARD = {
    *("malloc", "calloc", "realloc", "free", "strtoull", "_exit", "sqrt"),
    *("memchr", "memcmp", "memcpy", "memmove", "memset"),
    *("strchr", "strcmp", "strcspn", "strerror", "strlen", "strrchr", "strspn"),
    *("snprintf", "vsnprintf", "fflush", "access", "write", "getppid"),
    *("dlclose", "dlerror", "dlopen", "dlsym"),
    *("sigaction", "sigaltstack", "sigemptyset", "siglongjmp", "setitimer"),
}

#: What this C library calls things that are standard; what compiler and linker add.
HERE_ONLY = r"__errno_location|__ctype_b_loc|__sigsetjmp|__isoc(99|23)_strtoull"
ADDED = r"_ITM_.*|__gmon_start__|__cxa_finalize|__stack_chk_fail"


@pytest.mark.skipif(
    sys.platform != "linux", reason="the names that are looked for are those of GNU's C library"
)
def test_the_simulator_asks_for_standard_functions_alone() -> None:
    said = subprocess.run(
        ["nm", "-D", "--undefined-only", _simulator.__file__],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    asked = {line.split()[-1].partition("@")[0] for line in said.splitlines()}
    # Hardened: __snprintf_chk is snprintf.
    asked = {re.sub(r"^__(\w+)_chk$", r"\1", name) for name in asked}
    others = {name for name in asked if not re.fullmatch(rf"_?Py\w+|{HERE_ONLY}|{ADDED}", name)}
    assert others <= STANDARD, f"not known to be everywhere: {sorted(others - STANDARD)}"


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_its_files_are_standard_c(source: Path) -> None:
    """Headers declare nothing but C11, POSIX and XSI; no extension of GNU's but attributes."""
    strict = ["-std=c11", "-pedantic-errors", "-D_XOPEN_SOURCE=700", "-Wall", "-Wextra", "-Werror"]
    # Zero arguments for "..." and functions through dlsym() are C23's and POSIX'.
    done = subprocess.run(
        [*building.compiler(), *strict, "-fsyntax-only", *INCLUDES, source],
        capture_output=True,
        text=True,
    )
    assert not done.returncode, done.stderr


def _zig(target: str, *words: str | Path) -> None:
    command = [sys.executable, "-m", "ziglang", "cc", "-target", target, "-Werror", *words]
    done = subprocess.run(command, capture_output=True, text=True)
    assert not done.returncode, done.stderr


@pytest.mark.long
@pytest.mark.skipif(
    not importlib.util.find_spec("ziglang"),
    reason="a compiler for macOS is 100 MB that nothing else here needs: pip install ziglang",
)
@pytest.mark.parametrize("target", ["aarch64-macos", "x86_64-macos"])
def test_it_compiles_and_links_for_macos(target: str, tmp_path: Path) -> None:
    ffi = build.make()
    _, _, _, options = ffi._assigned_source
    ffi.emit_c_code(str(tmp_path / "_simulator.c"))
    flags = [*options["extra_compile_args"], *INCLUDES, f"-I{sysconfig.get_paths()['include']}"]
    objects = []
    for source in (*SOURCES, tmp_path / "_simulator.c"):
        objects.append(tmp_path / f"{source.parent.name}-{source.stem}.o")
        _zig(target, "-fPIC", *flags, "-c", source, "-o", objects[-1])
    # As Python links there: its own names are found when it loads the library.
    linked = ["-shared", "-Wl,-undefined,dynamic_lookup"]
    _zig(target, *linked, *objects, "-o", tmp_path / "_simulator.so")
    own = build.SCHED / "policies" / "fifo.c"
    _zig(target, *building.FLAGS, *INCLUDES, own, "-o", tmp_path / "own.so")
    for name in ("_simulator.so", "own.so"):
        # Mach-O of 64 bits.
        assert (tmp_path / name).read_bytes()[:4] == b"\xcf\xfa\xed\xfe"
