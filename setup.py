# SPDX-License-Identifier: MIT
"""The one thing pyproject.toml cannot say: which extension cffi compiles."""

from setuptools import setup

setup(cffi_modules=["labkit/native/build.py:ffibuilder"])
