# SPDX-License-Identifier: MIT
"""What was predicted over what was measured: a dot for each workload, class, policy, quantile."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go
import polars as pl

from labkit.plots.style import duration, finish, series_style
from labkit.records import Record

#: A prediction that is off by more than this says so.
ALLOWED = 0.2

_SERIES = r"^(?<workload>.*): (?<class>.*) under (?<policy>.*?)(?<tail>/p99)?$"


def table(record: Record) -> pl.DataFrame:
    """One row for each workload, class, policy and quantile of a prediction.

    Columns `workload`, `class`, `policy`, `quantile` (median, p99), `n` jobs, `simulated` and
    `measured` in ns, `ratio` of the two, `off`: by more than `ALLOWED`, either way.

    Raises:
        ValueError: the record is no prediction, or an empty one.
    """
    if record.experiment != "prediction" or record.samples.is_empty():
        raise ValueError(
            f"this is a run of {record.experiment!r} with {record.samples.height} values; give what"
            " labkit.prediction() returned"
        )
    wide = record.samples.pivot("unit", index=["series", "n"], values="value")
    parts = wide["series"].str.extract_groups(_SERIES).struct.unnest()
    ratio = pl.col("ratio")
    return pl.concat([parts, wide], how="horizontal").select(
        "workload",
        "class",
        "policy",
        pl.when(pl.col("tail").is_null())
        .then(pl.lit("median"))
        .otherwise(pl.lit("p99"))
        .alias("quantile"),
        "n",
        pl.col("simulated ns").alias("simulated"),
        pl.col("measured ns").alias("measured"),
        "ratio",
        ((ratio > 1 + ALLOWED) | (ratio < 1 / (1 + ALLOWED))).alias("off"),
    )


def plot_prediction(record: Record) -> go.Figure:
    """Simulated over measured latency; what is off by more than 20 % is named beside its dot.

    A row for each workload and class, a colour for each policy; the median is a circle, the 99th
    percentile a diamond. Hovering tells both times.

    Raises:
        ValueError: the record is no prediction, or an empty one.
    """
    rows = table(record)
    policies = rows["policy"].unique(maintain_order=True).to_list()
    fig = go.Figure()
    fig.add_vrect(1 / (1 + ALLOWED), 1 + ALLOWED, line_width=0, fillcolor="gray", opacity=0.15)
    fig.add_vline(1.0, line_width=1, line_color="gray")
    for index, policy in enumerate(policies):
        style: dict[str, Any] = series_style(index)
        for quantile, symbol in (("median", "circle"), ("p99", "diamond")):
            part = rows.filter((pl.col("policy") == policy) & (pl.col("quantile") == quantile))
            said = [
                f"{name} of {of}: simulated {duration(a)}, measured {duration(b)}, {n} jobs"
                for name, of, a, b, n in part.select(
                    "quantile", "class", "simulated", "measured", "n"
                ).iter_rows()
            ]
            fig.add_scatter(
                x=part["ratio"],
                y=(part["workload"] + ": " + part["class"]),
                mode="markers+text",
                name=f"{policy}, {quantile}",
                text=[
                    f"{r - 1:+.0%}" if off else ""
                    for r, off in part.select("ratio", "off").iter_rows()
                ],
                textposition="top center",
                hovertext=said,
                hoverinfo="text",
                marker={"symbol": symbol, "size": 10, "color": style["color"]},
            )
    off = int(rows["off"].sum())
    fig.update_xaxes(title="simulated / measured latency", type="log", tickformat=".2f")
    fig.update_yaxes(autorange="reversed")
    return finish(
        fig,
        record,
        f"Prediction: {off} of {rows.height} are off by more than {ALLOWED:.0%}"
        if off
        else f"Prediction: all {rows.height} within {ALLOWED:.0%}",
    )
