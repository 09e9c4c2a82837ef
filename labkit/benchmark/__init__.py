# SPDX-License-Identifier: MIT
"""The benchmark suite's machinery; what it measures stands in the project's folder `bench/`."""
