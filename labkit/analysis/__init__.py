# SPDX-License-Identifier: MIT
"""Events to tables: `df_*` takes a run and gives a table; `labkit.plots` draws it."""

from labkit.analysis.compare import (
    NotComparable,
    clocks_differ,
    df_compare,
    df_compare_ratios,
    df_probe,
    df_ratio,
    df_samples,
    differences,
    probe_sentence,
    warnings,
)
from labkit.analysis.jobs import df_jobs
from labkit.analysis.latency import df_detection, df_latency, df_preemption, df_wake
from labkit.analysis.load import Carried, carried, df_carried, df_load
from labkit.analysis.requires import MissingEvents, MissingSamples
from labkit.analysis.states import df_cpu_use, df_fairness, df_occupancy, df_throughput

__all__ = [
    "Carried",
    "MissingEvents",
    "MissingSamples",
    "NotComparable",
    "carried",
    "clocks_differ",
    "df_carried",
    "df_compare",
    "df_compare_ratios",
    "df_cpu_use",
    "df_detection",
    "df_fairness",
    "df_jobs",
    "df_latency",
    "df_load",
    "df_occupancy",
    "df_preemption",
    "df_probe",
    "df_ratio",
    "df_samples",
    "df_throughput",
    "df_wake",
    "differences",
    "probe_sentence",
    "warnings",
]
