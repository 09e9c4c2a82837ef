# SPDX-License-Identifier: MIT
"""The project's folder: labkit is used from a clone, installed there by `pip install -e`."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1]

#: What to do where a part of the project is missing, as the end of a sentence.
WITHOUT = "labkit works from its project's folder: clone it, and `pip install -e '.[lab]'` there"
