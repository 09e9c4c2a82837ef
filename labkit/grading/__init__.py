# SPDX-License-Identifier: MIT
"""Student versions and grades of the notebooks; see `labkit grade --help`."""
