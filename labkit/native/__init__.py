# SPDX-License-Identifier: MIT
"""The C engine and its Python face; see `labkit.native.engine`."""
