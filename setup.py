# SPDX-License-Identifier: MIT
"""The one thing pyproject.toml cannot say: which extensions cffi compiles."""

import sys

from setuptools import setup

# The engine is about Linux; the simulator is for every machine with a C compiler.
ENGINE = ["labkit/native/build.py:ffibuilder"] if sys.platform == "linux" else []

setup(cffi_modules=["labkit/sim/build.py:ffibuilder", *ENGINE])
