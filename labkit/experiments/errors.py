# SPDX-License-Identifier: MIT
"""What is wrong with what was asked for."""


class SpecError(ValueError):
    """A value of a spec is not allowed; `str()` says which, why, and what is."""


class NoUmcgError(SpecError):
    """Only UMCG series were asked for, on a kernel without it."""
