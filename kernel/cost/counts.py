#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Boot the counting programs on one image and print the instructions as JSON, by program and row.

Needs kernel/boot on Python's path, as table.py does.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from guest import GuestError, make_initrd
from table import HERE, counts


def main() -> int:
    """Exit status: 0, or 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("programs", nargs="+", type=Path)
    parser.add_argument("--image", type=Path, required=True)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="umcg-") as directory:
        initrd = Path(directory) / "initrd"
        try:
            make_initrd(initrd, HERE / "init", args.programs)
            names = [program.name for program in args.programs]
            json.dump(counts(args.image, initrd, *names), sys.stdout)
        except GuestError as error:
            sys.exit(str(error))
        except KeyboardInterrupt:
            return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
