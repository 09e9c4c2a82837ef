# SPDX-License-Identifier: MIT
"""Python with the engine as it is, and with one that the address sanitizer watches.

Run as a program it compiles that one, which takes a guest many times as long.
"""

import os
import subprocess
import sysconfig
from functools import cache
from pathlib import Path

from labkit.native import build

#: Where the watched engine is kept; compiled again when a source has changed.
FOLDER = build.ROOT / "build" / "address-sanitizer"

#: The watched engine takes the place of the other before anybody imports that.
_TAKE = """
import importlib.util, sys
_spec = importlib.util.spec_from_file_location("labkit.native._engine", {path!r})
sys.modules[_spec.name] = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(sys.modules[_spec.name])
"""


class Python:
    """How a program is run: plain."""

    name = "plain"

    def start(self) -> str:
        """What comes before the program's own text."""
        return ""

    def env(self) -> dict[str, str]:
        """Its environment."""
        return dict(os.environ)


class Sanitized(Python):
    """The same with the address sanitizer: whoever uses memory that is no longer there, ends."""

    name = "address sanitizer"

    def start(self) -> str:
        """What comes before the program's own text."""
        return _TAKE.format(path=str(engine()))

    def env(self) -> dict[str, str]:
        """Its environment."""
        found = subprocess.run(
            ["gcc", "-print-file-name=libasan.so"], check=True, capture_output=True, text=True
        )
        # What Python itself never frees is not looked for.
        options = "detect_leaks=0:exitcode=99"
        return {**os.environ, "LD_PRELOAD": found.stdout.strip(), "ASAN_OPTIONS": options}


@cache
def engine() -> Path:
    """The watched engine, compiled if a source is newer."""
    library, headers = build.folders()
    parts = [build.HERE / name for name in build.SOURCES + build.PERFORM_SOURCES]
    archives = [library / "lib" / name for name in build.ARCHIVES]
    FOLDER.mkdir(parents=True, exist_ok=True)
    watched, glue = FOLDER / "_engine.so", FOLDER / "_engine.c"
    sources = [*parts, *build.HERE.glob("*.h"), *archives, Path(build.__file__), Path(__file__)]
    if watched.exists() and watched.stat().st_mtime > max(s.stat().st_mtime for s in sources):
        return watched
    build.ffibuilder.emit_c_code(str(glue))
    flags = "-fsanitize=address -fno-omit-frame-pointer -g -O1 -std=gnu11 -fPIC -shared -pthread"
    include = [sysconfig.get_path("include"), build.HERE, library / "include", headers / "include"]
    command = ["gcc", *flags.split(), *(f"-I{folder}" for folder in include)]
    subprocess.run([*command, glue, *parts, *archives, "-ldl", "-o", watched], check=True)
    return watched


if __name__ == "__main__":
    engine()
