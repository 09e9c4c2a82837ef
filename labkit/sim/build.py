# SPDX-License-Identifier: MIT
"""How the simulator is compiled: cffi in API mode, over the policies of kernel/sched.

Needs a C compiler and nothing else: no kernel, no libumcg, on Linux and macOS.
"""

import os
import sys
from pathlib import Path

from cffi import FFI

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SCHED = ROOT / "kernel" / "sched"

#: What is in neither of the simulator's own headers: the policies' interface.
INTERFACE = HERE / "interface.cdef"

SOURCE = """
#include <umcg-policy.h>
#include <umcg-host.h>
#include "simulator.h"

static void sim_host_kick(struct umcg_sched *s, uint32_t server, uint32_t how)
{
	umcg_kick(s, server, how);
}

static void sim_host_print(struct umcg_sched *s, const char *text)
{
	umcg_print(s, "%s", text);
}
"""


def declarations() -> str:
    """What Python may call: the marked parts of the headers, and the policies' interface."""
    texts = [(HERE / name).read_text(encoding="utf-8") for name in ("random.h", "simulator.h")]
    parts = [text.split("/* cffi: begin */")[1].split("/* cffi: end */")[0] for text in texts]
    return INTERFACE.read_text(encoding="utf-8") + "".join(parts)


def make() -> FFI:
    """The FFI object setuptools compiles to `labkit.sim._simulator`."""
    if not SCHED.is_dir():
        raise SystemExit(f"{SCHED} is missing: build labkit inside its project's folder")
    sources = [
        *sorted(HERE.glob("*.c")),
        *sorted((SCHED / "src").glob("*.c")),
        *sorted((SCHED / "policies").glob("*.c")),
    ]
    ffi = FFI()
    ffi.cdef(declarations())
    ffi.set_source(
        "labkit.sim._simulator",
        SOURCE,
        sources=[os.path.relpath(path, ROOT) for path in sources],
        include_dirs=[str(HERE), str(SCHED / "include")],
        depends=[str(path) for path in (*HERE.glob("*.h"), INTERFACE, *SCHED.glob("include/*.h"))],
        # Contraction would make the bits of random times depend on the machine.
        extra_compile_args=["-std=gnu11", "-O2", "-Wall", "-Wextra", "-ffp-contract=off"],
        libraries=["m", "dl"] if sys.platform == "linux" else [],
    )
    return ffi


if __name__ != "__main__":
    ffibuilder = make()
