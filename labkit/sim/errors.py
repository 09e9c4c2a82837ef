# SPDX-License-Identifier: MIT
"""What can go wrong with a simulation, by name."""

from __future__ import annotations


class SimulationError(Exception):
    """A simulation could not be made or did not end; `str()` says why and what to do."""


class ChoiceError(SimulationError, ValueError):
    """There is no such policy, it has no such option, or its file cannot be used."""


class BuildError(SimulationError):
    """A policy does not compile; `str()` has what the compiler says."""


class SettingError(SimulationError, ValueError):
    """A number that `simulate` was given is not allowed."""


class TooManyEvents(SimulationError):
    """The event table is full."""


class PolicyError(SimulationError):
    """The policy is wrong: it lost a thread, ran one twice, crashed, spun, ...

    `str()` is the whole report: one sentence, then servers, threads and the policy's own dump.
    """

    @property
    def sentence(self) -> str:
        """The report's first line."""
        return str(self).partition("\n")[0]
