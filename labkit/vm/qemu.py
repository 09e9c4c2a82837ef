# SPDX-License-Identifier: MIT
"""One microVM: started by virtme-ng, reached over one virtio serial port, always ended.

Its TCP ports, if any are asked for, are reached through QEMU's user network: the machine's own
sockets at the guest's end, the loopback at ours.

Three things end the guest: `close()`; virtme-run's death, as QEMU asks to be killed with its
parent; and this process' death, as virtme-run asks for the same. So nothing is left running,
however this process ends.
"""

from __future__ import annotations

import collections
import contextlib
import json
import os
import shlex
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from labkit.vm import agent, clock, image, monitor, places
from labkit.vm.errors import VmError
from labkit.vm.options import Accelerator, VmOptions

QEMU = "qemu-system-x86_64"

# What virtme-ng asks for, plus mmap: it makes shared writable mappings of files possible.
_ROOT_FLAGS = "version=9p2000.L,trans=virtio,access=any,msize=524288,cache=mmap"

_FROZEN_FLAGS = "version=9p2000.L,trans=virtio,msize=524288,cache=loose"
_TAG = "labkit.frozen"

#: Bytes of a Unix socket's path, see unix(7).
_LONGEST_SOCKET = 107

_BASE = "XDG_RUNTIME_DIR (or TMPDIR) to a folder of yours"

_TROUBLE = ("Kernel panic", "BUG:", "Oops", "WARNING:", "Out of memory", "oom-kill:")


def runtime_folder() -> Path:
    """Where running machines leave their files: one folder each, gone when the machine ends."""
    base = os.environ.get("XDG_RUNTIME_DIR", "")
    # After `sudo -E` or `su` it is another user's, who could put anything in our place.
    if not base or not _is_ours(Path(base)):
        base = tempfile.gettempdir()
    return Path(base) / f"labkit-vm-{os.getuid()}"


def _is_ours(folder: Path) -> bool:
    """A folder, no link to one, that nobody else may write in."""
    try:
        found = folder.lstat()
    except OSError:
        return False
    mine = found.st_uid == os.getuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return stat.S_ISDIR(found.st_mode) and mine


def _stays(folder: Path) -> bool:
    """Can nobody else put another folder in its place?"""
    above = folder.parent.stat()
    by_others = above.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return above.st_uid in (0, os.getuid()) and (
        not by_others or bool(above.st_mode & stat.S_ISVTX)
    )


def _new_folder() -> Path:
    """A folder for one machine. What runs the guest is started from it, so it must be safe.

    Raises:
        VmError: it cannot be made, or others could change it; says what to do.
    """
    above = runtime_folder()
    # virtme-ng hands QEMU files of its own there, in options that commas take apart.
    if "," in str(above):
        raise VmError(
            f"{above} has a comma in its name, which QEMU takes for two options; set {_BASE}"
        )
    try:
        above.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise VmError(f"{above} cannot be made ({error.strerror}); set {_BASE}") from None
    if not _is_ours(above) or not _stays(above):
        raise VmError(
            f"{above} is not a folder of yours alone, so what runs in it is not safe; remove it, "
            f"or set {_BASE}"
        )
    try:
        made = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=above))
    except OSError as error:
        raise VmError(f"nothing can be written in {above} ({error.strerror})") from None
    if len(os.fsencode(made / "monitor")) > _LONGEST_SOCKET:
        made.rmdir()
        raise VmError(f"{above} is too long a path for a socket; set {_BASE} with a shorter one")
    return made


class Machine:
    """A booting or running guest.

    Attributes:
        connection: the socket to the guest's agent, see `labkit.vm.agent`.
        accelerator: `kvm` or `tcg`.
    """

    def __init__(self, options: VmOptions, accelerator: Accelerator) -> None:
        """Start the guest and wait until QEMU has connected to us.

        Raises:
            VmError: no kernel image, no QEMU, no virtme-ng, or QEMU ended at once.
        """
        self.options = options
        self.accelerator = accelerator
        self._lines: collections.deque[str] = collections.deque(maxlen=5000)
        need_programs()
        kernel = self._kernel = image.find(str(options.image) if options.image else None)
        self.folder = _new_folder()
        listener = socket.socket(socket.AF_UNIX)
        try:
            listener.bind(str(self.folder / "port"))
            listener.listen(1)
            self._process = subprocess.Popen(
                _command(kernel, options, accelerator, self.folder),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, "TMPDIR": str(self.folder), "HOME": str(self.folder)},
            )
            self._console = threading.Thread(target=self._read_console, daemon=True)
            self._console.start()
            self._note(kernel)
            self.connection = self._accept(listener)
        except BaseException:
            self.close()
            raise
        finally:
            listener.close()

    def _accept(self, listener: socket.socket) -> socket.socket:
        deadline = time.monotonic() + self.options.boot_timeout_s
        listener.settimeout(0.1)
        while time.monotonic() < deadline:
            with contextlib.suppress(TimeoutError):
                return listener.accept()[0]
            if self._process.poll() is not None:
                self._console.join(1)
                raise VmError("QEMU did not start", self.last_lines())
        raise VmError("QEMU did not start in time", self.last_lines())

    def _note(self, kernel: Path) -> None:
        note = {
            "pid": os.getpid(),
            "pids_of": _pids_of(),
            "image": str(kernel),
            "accelerator": self.accelerator,
            "cpus": self.options.cpus,
            "memory_mib": self.options.memory_mib,
            "started": time.time(),
        }
        (self.folder / "machine.json").write_text(json.dumps(note), encoding="utf-8")

    def _read_console(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            text = line.decode(errors="replace").rstrip()
            if text:
                self._lines.append(text)

    def last_lines(self, count: int = 15) -> list[str]:
        """The last `count` lines of the guest's console, oldest first.

        After a panic also the lines before them that say why; a call trace may be longer.
        """
        lines = list(self._lines)
        reasons = [line for line in lines[:-count] if "Kernel panic" in line]
        return reasons + lines[-count:]

    def trouble(self) -> list[str]:
        """Console lines that say the guest's kernel is unwell (panic, BUG, oops, OOM, warning)."""
        return [line for line in list(self._lines) if any(word in line for word in _TROUBLE)]

    def killed(self) -> list[str]:
        """Console lines about tasks that UMCG has killed for a breach of its contract."""
        return [line for line in list(self._lines) if "umcg:" in line and "killing" in line]

    def forward(self) -> None:
        """Open the guest's ports on this machine's loopback; to be called when the guest is up.

        Not sooner: until then a client must be refused, as by a program that does not listen yet,
        and try again. A connection that QEMU takes for a guest without a network hangs for minutes.

        Raises:
            VmError: a port is taken here.
        """
        for port in self.options.ports:
            rule = f"tcp:127.0.0.1:{port}-{agent.ADDRESS}:{port}"
            said = monitor.command(self.folder / "monitor", f"hostfwd_add labkit {rule}")
            if said:
                raise VmError(f"port {port} of 127.0.0.1 cannot lead into the guest: {said}")

    def places(self) -> list[str]:
        """Where the guest's CPUs are, a line each; for one that says nothing any more."""
        return places.cpus(self.folder / "monitor", self._kernel)

    def running(self) -> bool:
        """Is QEMU still there?"""
        return self._process.poll() is None

    def settle(self, seconds: float = 2.0) -> None:
        """Wait until an ending QEMU is gone and its console is read, at most `seconds`."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
            self._console.join(seconds)

    def close(self) -> None:
        """End the guest at once and remove its files. Never raises; may be called twice."""
        if hasattr(self, "connection"):
            self.connection.close()
        if hasattr(self, "_process"):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._console.join(5)
        shutil.rmtree(self.folder, ignore_errors=True)


@contextlib.contextmanager
def machine(options: VmOptions, accelerator: Accelerator) -> Iterator[Machine]:
    """A `Machine` that is ended on the way out, whatever happens."""
    guest = Machine(options, accelerator)
    try:
        yield guest
    finally:
        guest.close()


def _pids_of() -> str:
    """Whose numbers process ids are: a guest or a container may see this folder, too."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return f"{boot} {os.readlink('/proc/self/ns/pid')}"


def running() -> list[dict[str, object]]:
    """The machines of this user that run now: their `machine.json`, oldest first.

    Folders left by a killed process are removed on the way; not those of another boot or container,
    of which nobody here knows whether they run.
    """
    found = []
    for note in sorted(runtime_folder().glob("*/machine.json")):
        with contextlib.suppress(OSError, ValueError):
            machine = json.loads(note.read_text(encoding="utf-8"))
            if machine.get("pids_of") != _pids_of():
                continue
            if Path(f"/proc/{machine['pid']}").exists():
                found.append(machine)
            else:
                shutil.rmtree(note.parent, ignore_errors=True)
    return sorted(found, key=lambda machine: machine["started"])


def need_programs() -> None:
    """Is all there that starts a guest, but for the kernel?

    Raises:
        VmError: QEMU or virtme-ng is missing; says what installs it.
    """
    if not shutil.which(QEMU):
        raise VmError(f"{QEMU} is not installed; `make deps` in the project's folder installs it")
    try:
        import virtme.commands.run  # noqa: F401
    except ImportError:
        raise VmError(
            "virtme-ng is not installed in this environment; `make deps` in the project's folder "
            "installs it (or: pip install -e '.[vm]' there)"
        ) from None


def _script(frozen: tuple[Path, ...]) -> str:
    """What the guest's init runs: the agent, after mounting what needs not be asked for twice."""
    lines = [
        f"mount -t 9p -o ro,{_FROZEN_FLAGS} {_TAG}{number} {shlex.quote(str(path))}"
        for number, path in enumerate(frozen)
    ]
    python = shlex.quote(os.path.realpath(sys.executable))
    return "; ".join([*lines, f"exec {python} -I -S {shlex.quote(agent.__file__)}"])


def _value(path: Path) -> str:
    """A path as the value of one of QEMU's options."""
    return str(path).replace(",", ",,")


def _command(kernel: Path, options: VmOptions, accelerator: Accelerator, folder: Path) -> list[str]:
    # QEMU's parent is virtme-run: a small script between the two makes it end with it.
    qemu = folder / QEMU
    real = shlex.quote(str(shutil.which(QEMU)))
    qemu.write_text(f'#!/bin/sh\nexec setpriv --pdeathsig KILL {real} "$@"\n', encoding="utf-8")
    qemu.chmod(0o700)
    command = [
        *("setpriv", "--pdeathsig", "KILL"),
        *(sys.executable, "-m", "virtme.commands.run"),
        *("--kimg", str(kernel), "--mods", "none", "--qemu-bin", str(qemu)),
        *("--cpus", str(options.cpus), "--memory", f"{options.memory_mib}M"),
        *("--rw", "--force-9p", "--disable-microvm", "--show-boot-console"),
        *("--script-sh", _script(options.frozen)),
        # virtme-ng gives each stream a bus of its own, and QEMU a bus 31 ports, each with two files
        # to wait for: more than 400 of them, looked at whenever anything happens, cost a tenth of a
        # guest's time. One port on each bus is what is there; the first number is a console's.
        "--qemu-opt=-global",
        "--qemu-opt=virtio-serial-device.max_ports=2",
        "--qemu-opt=-chardev",
        f"--qemu-opt=socket,id=labkit,path={folder / 'port'}",
        "--qemu-opt=-device",
        "--qemu-opt=virtio-serial-pci,id=labkitbus",
        "--qemu-opt=-device",
        f"--qemu-opt=virtserialport,bus=labkitbus.0,chardev=labkit,name={agent.PORT}",
        "--qemu-opt=-chardev",
        f"--qemu-opt=socket,id=monitor,path={folder / 'monitor'},server=on,wait=off",
        "--qemu-opt=-mon",
        "--qemu-opt=chardev=monitor,mode=control",
    ]
    for number, frozen in enumerate(options.frozen):
        command += [
            "--qemu-opt=-fsdev",
            f"--qemu-opt=local,id=frozen{number},path={_value(frozen)},security_model=none"
            ",readonly=on,multidevs=remap",
            "--qemu-opt=-device",
            f"--qemu-opt=virtio-9p-pci,fsdev=frozen{number},mount_tag={_TAG}{number}",
        ]
    if options.ports:
        command += [
            "--qemu-opt=-netdev",
            "--qemu-opt=user,id=labkit,restrict=on,ipv6=off",
            "--qemu-opt=-device",
            "--qemu-opt=virtio-net-pci,netdev=labkit,romfile=",
        ]
    words = [f"rootflags={_ROOT_FLAGS}", "loglevel=5", *options.kernel_args]
    if accelerator == "tcg":
        threads = "single" if options.icount else "multi"
        command += ["--disable-kvm", "--qemu-opt=-accel", f"--qemu-opt=tcg,thread={threads}"]
        # On a busy host the boot-time check of the timer interrupt fails, and the guest panics.
        words = ["clocksource=tsc", "tsc=reliable", "no_timer_check", *words]
        if not options.icount and (khz := clock.tsc_khz()):
            words = [f"tsc_early_khz={khz}", *words]
        # QEMU 7.2 takes a gather by register 4 (vpgatherqq with ymm4 ...) for one without an index:
        # wrong numbers, or a segmentation fault, in whatever is compiled for AVX2.
        command += ["--qemu-opt=-cpu", "--qemu-opt=max,avx2=off"]
    if options.icount:
        command += ["--qemu-opt=-icount", "--qemu-opt=shift=0,sleep=off,align=off"]
    return [*command, *(f"--kopt={word}" for word in words)]
