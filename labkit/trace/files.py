# SPDX-License-Identifier: MIT
"""A run as one Parquet file: events as its table, everything else in its key-value metadata.

| key                | value                                           |
|--------------------|-------------------------------------------------|
| labkit.format      | `FORMAT`, an integer as text                    |
| labkit.digest      | SHA-256 of the file with 64 zeros in its place  |
| labkit.spec        | JSON                                            |
| labkit.environment | JSON                                            |
| labkit.counters    | JSON                                            |
| labkit.tasks       | Arrow IPC of the task table, base64             |
| labkit.samples     | Arrow IPC of the sample table, base64           |

Any Parquet reader can read the events. Nothing in the file is ever executed. The digest is compared
before anything is parsed; files of format 1 have none, and of those damage is found only by chance.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import io
import json
import os
import secrets
from pathlib import Path
from typing import Any, TypeVar, overload

import polars as pl

from labkit import forked
from labkit.names import meant
from labkit.records import EVENT_SCHEMA, SAMPLE_SCHEMA, TASK_SCHEMA, Record
from labkit.trace import loss, schema, seal
from labkit.trace.errors import (
    ForeignFile,
    NewerFormat,
    SchemaError,
    TruncatedFile,
    WriteFailed,
)

#: Version of the file's layout. A reader refuses a higher one. Before 3 nothing said when events
#: were lost.
FORMAT = 3

_MAGIC = b"PAR1"

# How Parquet writes the key and then, of type and length as declared here, 64 bytes of value. No
# other text of the metadata can hold this: JSON has no control characters.
_DIGEST = b"labkit.digest\x18\x40"

#: What polars raises for bytes that it cannot read. A panic of its Rust code is no `Exception`.
_UNREADABLE = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError)
R = TypeVar("R", bound=Record)


def _pack(table: pl.DataFrame) -> str:
    buffer = io.BytesIO()
    table.write_ipc(buffer, compression="zstd")
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def _unpack(text: str) -> pl.DataFrame:
    return pl.read_ipc(io.BytesIO(base64.b64decode(text, validate=True)))


def _as_json(value: object, what: str) -> str:
    try:
        return json.dumps(value, sort_keys=True)
    except (TypeError, ValueError) as error:
        raise SchemaError(
            f"{what} holds a value that JSON cannot hold ({error}); use str, int, float, bool, "
            "None, lists and dicts"
        ) from error


def save(record: Record, path: str | os.PathLike[str]) -> Path:
    """Write a run to `path`, wholly or not at all, and return the path.

    The bytes go to a hidden file beside the target, reach the disk, and only then take its name:
    after a full disk, a kill or a power cut, the target is either the new run or what it was
    before.

    Raises:
        SchemaError: the run holds something that is not an event table, task table or JSON.
        WriteFailed: the operating system refused, with the reason and what to do.
    """
    forked.check()
    target = Path(path)
    events = schema.validate(schema.sort(record.events))
    metadata = {
        "labkit.format": str(FORMAT),
        "labkit.digest": seal.BLANK,
        "labkit.spec": _as_json(record.spec, "spec"),
        "labkit.environment": _as_json(record.environment, "environment"),
        "labkit.counters": _as_json(record.counters, "counters"),
        "labkit.tasks": _pack(schema.validate_tasks(record.tasks)),
        "labkit.samples": _pack(schema.without_nulls(record.samples, "samples")),
    }
    buffer = io.BytesIO()
    events.write_parquet(buffer, compression="zstd", compression_level=1, metadata=metadata)
    write_atomically(target, seal.seal(buffer.getvalue(), _DIGEST))
    return target


def write_atomically(target: Path, data: bytes | memoryview) -> None:
    """Give `target` the content `data`, or leave it as it was.

    Through a symbolic link its file is written, and the link stays.

    Raises:
        WriteFailed: the operating system refused, with the reason and what to do.
    """
    target = Path(os.path.realpath(target))
    check_target(target)
    # Nobody else's, be it a thread, or a process of a guest that shares the folder.
    temporary = target.with_name(f".labkit-{secrets.token_hex(8)}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
        directory = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as error:
        raise WriteFailed(error.errno, _why_not_written(target, error)) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def check_target(target: Path) -> None:
    """Refuse to replace what is no regular file: for root, /dev/null would become one.

    Raises:
        WriteFailed: a folder, a device, a pipe or a socket has this name.
    """
    # Not Path.is_dir, which raises where an ordinary user may not even look.
    if os.path.isdir(target):
        raise WriteFailed(errno.EISDIR, f"{target} is a folder: give a file name")
    if os.path.exists(target) and not os.path.isfile(target):
        raise WriteFailed(errno.EINVAL, f"{target} is no regular file: give another name")


def check_output(target: Path, *inputs: Path) -> None:
    """Before any work is done: can `target` be written, and is it none of the command's `inputs`?

    Every command that reads files and writes one asks this of all of them; links are followed.

    Raises:
        WriteFailed: it cannot be, or it is one: what was measured would be gone.
    """
    check_target(target)
    folder = Path(os.path.realpath(target)).parent
    if not folder.is_dir():
        raise WriteFailed(errno.ENOENT, f"{folder}: no such folder")
    if not os.access(folder, os.W_OK):
        raise WriteFailed(errno.EACCES, f"{folder}: no permission to write")
    for source in inputs:
        if _is_same(target, source):
            raise WriteFailed(
                errno.EEXIST,
                f"{target} is what is read ({source}), and would be lost: give another name",
            )


def _is_same(target: Path, source: Path) -> bool:
    try:
        return target.samefile(source)
    except OSError:  # one of them is not there, yet
        return os.path.realpath(target) == os.path.realpath(source)


def _why_not_written(target: Path, error: OSError) -> str:
    advice = {
        errno.ENOSPC: "the disk is full: free space or save elsewhere",
        errno.EDQUOT: "the disk quota is used up: free space or save elsewhere",
        errno.EFBIG: "larger than a file may be here: see `ulimit -f`, or save elsewhere",
        errno.ENOENT: f"the folder {target.parent} does not exist: create it first",
        errno.EACCES: f"no permission to write in {target.parent}: save elsewhere",
        errno.EROFS: f"{target.parent} is read-only: save elsewhere",
    }.get(error.errno or 0, error.strerror or str(error))
    return f"cannot write {target}: {advice}. Earlier results are untouched"


@overload
def load(path: str | os.PathLike[str]) -> Record: ...


@overload
def load(path: str | os.PathLike[str], kind: type[R]) -> R: ...


def load(path: str | os.PathLike[str], kind: type[Record] = Record) -> Record:
    """Read a run that `save` wrote, as a `Record` or as the subclass `kind`.

    Raises:
        FileNotFoundError: there is no such file.
        ForeignFile: it is something else.
        TruncatedFile: it was cut short or damaged.
        NewerFormat: a newer labkit wrote it.
        ForkedProcess: this process cannot read one.
    """
    forked.check()
    source = Path(path)
    if source.is_dir():
        raise ForeignFile(f"{source} is a folder; give the .parquet file of a run")
    try:
        data = source.read_bytes()
    except FileNotFoundError:
        beside = map(str, source.parent.glob("*.parquet"))
        raise FileNotFoundError(f"{source}: no such file{meant(source, beside)}") from None
    if not data:
        raise TruncatedFile(f"{source} is empty; record the run again")
    if not data.startswith(_MAGIC):
        raise ForeignFile(
            f"{source} is not a Parquet file; `labkit run EXPERIMENT -o FILE` makes one"
        )
    if len(data) < 12 or not data.endswith(_MAGIC):
        raise TruncatedFile(
            f"{source} ends early ({len(data)} bytes): the copy or the write was cut short; "
            "copy it again or record the run again"
        )
    sealed = seal.is_sealed(data, _DIGEST)
    if sealed and not seal.is_whole(data, _DIGEST):
        raise TruncatedFile(_damaged(source, "its digest does not fit its content"))
    try:
        metadata = pl.read_parquet_metadata(io.BytesIO(data))
    except _UNREADABLE as error:
        raise TruncatedFile(_damaged(source, error)) from error
    _check_format(source, metadata, sealed)
    parts = {name: _part(source, metadata, name) for name in ("spec", "environment", "counters")}
    if not all(isinstance(value, int | float) for value in parts["counters"].values()):
        raise ForeignFile(_foreign(source, "a value of labkit.counters is no number"))
    try:
        tasks = schema.conform(_unpack(metadata["labkit.tasks"]), TASK_SCHEMA)
        samples = schema.conform(_unpack(metadata["labkit.samples"]), SAMPLE_SCHEMA)
        events = schema.validate(schema.conform(pl.read_parquet(io.BytesIO(data)), EVENT_SCHEMA))
        if int(metadata["labkit.format"]) < 3 and parts["counters"].get("lost"):
            events = loss.supposed(events, tasks)
        return kind(
            **parts,
            tasks=schema.validate_tasks(tasks),
            samples=schema.without_nulls(samples, "samples"),
            events=events,
        )
    except SchemaError as error:
        raise ForeignFile(_foreign(source, str(error))) from error
    except (KeyError, *_UNREADABLE) as error:
        raise TruncatedFile(_damaged(source, error)) from error


def _check_format(source: Path, metadata: dict[str, str], sealed: bool) -> None:
    if "labkit.format" not in metadata:
        raise ForeignFile(
            f"{source} is Parquet, but no labkit run; read it with polars.read_parquet, or make an "
            "event table of it with labkit.trace.schema.events"
        )
    version = metadata["labkit.format"]
    if not version.isdecimal() or int(version) < 1:
        raise ForeignFile(_foreign(source, f"its format is {version!r}, not 1 to {FORMAT}"))
    if int(version) > FORMAT:
        raise NewerFormat(
            f"{source} has format {version}, this labkit reads up to {FORMAT}; update labkit"
        )
    if int(version) > 1 and not sealed:
        raise TruncatedFile(_damaged(source, "its digest is gone"))


def _part(source: Path, metadata: dict[str, str], name: str) -> dict[str, Any]:
    """An object of the metadata."""
    try:
        value = json.loads(metadata[f"labkit.{name}"])
    except (KeyError, ValueError, RecursionError) as error:
        raise TruncatedFile(_damaged(source, error)) from error
    if not isinstance(value, dict):
        raise ForeignFile(_foreign(source, f"labkit.{name} is no JSON object"))
    return value


def _foreign(source: Path, why: str) -> str:
    return f"{source} is no run that labkit wrote ({why}); record the run with labkit"


def _damaged(source: Path, error: BaseException | str) -> str:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return f"{source} is damaged ({reason}); copy it again or record the run again"
