# SPDX-License-Identifier: MIT
"""Sweeps: many simulations into one data set; `sweep` makes it, `read` reads it."""

from labkit.sweep.dataset import read
from labkit.sweep.run import sweep

__all__ = ["read", "sweep"]
