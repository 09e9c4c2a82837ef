# SPDX-License-Identifier: MIT
"""How the engine is compiled: cffi in API mode over libumcg and libumcg-sched, linked statically.

`LABKIT_LIBUMCG` and `LABKIT_HEADERS` name folders (with include/ and lib/) to use instead of the
ones `make -C kernel libumcg` builds; both need no kernel source, only a C compiler.
"""

import os
import re
import subprocess
from pathlib import Path

from cffi import FFI

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]

SOURCES = [
    *("run.c", "swap.c", "work.c", "helper.c"),
    *("service.c", "load.c", "crew.c", "proxy.c", "rows.c", "wait.c"),
    *("requests.c", "hall.c", "spawn.c", "interrupt.c", "ring.c"),
]
HEADERS = ["engine.h", "requests.h", "threads.h", "perform.h"]
ARCHIVES = ["libumcg-sched.a", "libumcg.a"]
#: What a workload's description says, to the simulator and here.
DESCRIPTION = ROOT / "labkit" / "sim"
PERFORM_SOURCES = ["perform.c", "turns.c", "../sim/description.c", "../sim/random.c"]

UMCG = """
typedef intptr_t umcg_t;
typedef intptr_t umcg_tid;
bool umcg_enabled(void);
umcg_tid umcg_get_utid(void);
void umcg_set_task_tag(umcg_tid, intptr_t);
intptr_t umcg_get_task_tag(umcg_tid);
umcg_t umcg_create_group(uint32_t);
int umcg_destroy_group(umcg_t);
umcg_tid umcg_register_basic_task(intptr_t);
umcg_tid umcg_register_server(umcg_t, intptr_t);
umcg_tid umcg_register_worker(umcg_t, intptr_t);
int umcg_unregister_task(void);
int umcg_wait(uint64_t);
int umcg_wake(umcg_tid, bool);
int umcg_swap(umcg_tid, uint64_t);
umcg_tid umcg_get_idle_worker(bool);
umcg_tid umcg_run_worker(umcg_tid);
int umcg_preempt_worker(umcg_tid);
int umcg_put_idle_worker(umcg_tid);
bool umcg_is_preempted(umcg_tid);
uint64_t umcg_get_task_state(umcg_tid);
uint64_t umcg_get_time_ns(void);
"""


def declarations() -> str:
    """What Python may call: the marked parts of the headers, and libumcg's functions."""
    texts = [(HERE / name).read_text(encoding="utf-8") for name in HEADERS]
    parts = [text.split("/* cffi: begin */")[1].split("/* cffi: end */")[0] for text in texts]
    return re.sub(r"\bLAB_MAX_CPUS\b", "64", "".join(parts)) + UMCG


def folders() -> tuple[Path, Path]:
    """libumcg's and the kernel headers' folders, built first if need be."""
    library, headers = os.environ.get("LABKIT_LIBUMCG"), os.environ.get("LABKIT_HEADERS")
    if library and headers:
        return Path(library), Path(headers)
    kernel = ROOT / "kernel"
    if not (kernel / "Makefile").is_file():
        raise SystemExit(f"{kernel} is missing: build labkit inside its project's folder")
    subprocess.run(["make", "-s", "-C", kernel, "libumcg"], check=True)
    made = subprocess.run(
        ["make", "-s", "-C", kernel, "where"], check=True, capture_output=True, text=True
    )
    where = dict(line.split("=", 1) for line in made.stdout.splitlines() if "=" in line)
    return Path(where["LIBUMCG"]), Path(where["HEADERS"])


def make() -> FFI:
    """The FFI object setuptools compiles to `labkit.native._engine`."""
    library, headers = folders()
    archives = [library / "lib" / name for name in ARCHIVES]
    ffi = FFI()
    ffi.cdef(declarations())
    ffi.set_source(
        "labkit.native._engine",
        "#include <libumcg.h>\n#include <linux/umcg.h>\n"
        + "".join(f'#include "{name}"\n' for name in HEADERS),
        sources=[
            os.path.relpath((HERE / name).resolve(), ROOT) for name in SOURCES + PERFORM_SOURCES
        ],
        include_dirs=[str(HERE), str(library / "include"), str(headers / "include")],
        extra_objects=[str(path) for path in archives],
        depends=[str(path) for path in (*HERE.glob("*.h"), *DESCRIPTION.glob("*.h"), *archives)],
        # As in the simulator: contraction would make random times differ from its.
        extra_compile_args=[
            *("-std=gnu11", "-O2", "-Wall", "-Wextra", "-pthread", "-ffp-contract=off"),
        ],
        extra_link_args=["-pthread"],
        libraries=["dl"],
    )
    return ffi


if __name__ != "__main__":
    ffibuilder = make()
