# SPDX-License-Identifier: MIT
"""Reports of runs and of the benchmark, as HTML that needs nothing else, and as Markdown."""
