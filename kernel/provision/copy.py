# SPDX-License-Identifier: MIT
"""copy.py SOURCE TARGET: bring TARGET up to SOURCE, but never over what somebody has changed there.

A notebook that was only run has changed, too. What was installed is remembered in TARGET, so that
the next call knows which files are still as they came.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from pathlib import Path

INSTALLED = ".umcg-lab-installed.json"


def files(root: Path) -> list[str]:
    """All files below, relative to `root`; the Vagrantfile has left outputs out."""
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def digest(path: Path) -> str:
    """Of a file's content; empty where there is none."""
    if not path.is_file():
        return ""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def bring(source: Path, target: Path) -> tuple[int, list[str]]:
    """Copy; how many files have changed, and which were left alone though `source` has others."""
    memory = target / INSTALLED
    before = json.loads(memory.read_text(encoding="utf-8")) if memory.is_file() else {}
    after: dict[str, str] = {}
    changed, kept = 0, []
    for name in files(source):
        theirs, ours = digest(source / name), digest(target / name)
        after[name] = theirs
        if ours == theirs:
            continue
        if ours and ours != before.get(name):
            # Compared with the version it came from, again, once `source` moves on.
            after[name] = before.get(name, "")
            if theirs != before.get(name):
                kept.append(name)
            continue
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        # With its mode, but not its time: what arrives now is new to whatever `make` has made here.
        shutil.copy(source / name, target / name)
        changed += 1
    for name in before.keys() - after.keys():
        if digest(target / name) == before[name]:
            (target / name).unlink(missing_ok=True)
            changed += 1
    text = json.dumps(after, indent=0, sort_keys=True)
    if not memory.is_file() or memory.read_text(encoding="utf-8") != text:
        memory.write_text(text, encoding="utf-8")
    return changed, kept


def main() -> None:
    """See the module."""
    source, target = map(Path, sys.argv[1:])
    target.mkdir(parents=True, exist_ok=True)
    changed, kept = bring(source, target)
    if changed:
        print(f"UMCG Lab: {changed} files brought to {target}")
    for name in kept:
        print(f"UMCG Lab: {target / name} was changed here and stays; the new one: {source / name}")


if __name__ == "__main__":
    main()
