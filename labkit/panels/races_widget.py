# SPDX-License-Identifier: MIT
"""Step through the protocol: choose which task goes next, see all words, go back, look for a fault.

The model (`labkit.model`) decides what may happen, Python says it in words and draws; the page's
part (`races_widget.js`) shows it and asks. A recorded run can be gone through in the same way.
"""

from __future__ import annotations

import random
import threading
from pathlib import Path
from typing import Any

import anywidget
import polars as pl
import traitlets

from labkit.model.explain import FAULTS, why_not
from labkit.model.retrace import Retrace
from labkit.model.stage import Stage
from labkit.model.stepper import Stepper
from labkit.names import counted, meant
from labkit.panels.saved_picture import SavedPicture
from labkit.panels.script import script
from labkit.plots.timeline import picture
from labkit.plots.timeline_parts import flag_words
from labkit.plots.window import pick_series, timeline_window
from labkit.records import Record
from labkit.trace import schema
from labkit.trace.prefer_kernel import prefer_kernel_events

_HERE = Path(__file__).parent

#: Rows of the event table, and of state changes in the drawing, that are shown.
_ROWS, _DRAWN = 12, 40

#: What the page may ask for in the model: more tasks make more worlds than one sees through.
_MOST_SERVERS, _MOST_WORKERS = 3, 4

_WIDTH = 1000

_NOTHING = {"cpu": -1, "flags": 0, "peer": 0, "arg": 0}


class Races(anywidget.AnyWidget):
    """The protocol of UMCG step by step.

    `stage` is what is gone through: a `labkit.model.stepper.Stepper`, or a
    `labkit.model.retrace.Retrace` of a run.
    """

    _esm = script(_HERE / "races_widget.js")
    _css = _HERE / "races_widget.css"

    shown = traitlets.Dict().tag(sync=True)
    options = traitlets.Dict().tag(sync=True)
    static_id = traitlets.Unicode().tag(sync=True)

    def __init__(
        self,
        run: Record | None = None,
        *,
        series: str | None = None,
        servers: int = 1,
        workers: int = 2,
        fault: str = "",
        mystery: int | None = None,
    ) -> None:
        """Begin with the model, or with a run.

        Args:
            run: with events, to be gone through; None: the model.
            series: which of the run's series; None: the first.
            servers: of the model, 1 to 3.
            workers: of the model, 0 to 4.
            fault: a mistake that is put into the model, one of `labkit.model.explain.FAULTS`.
            mystery: a seed that chooses the fault, which is not named; see `reveal`.

        Raises:
            ValueError: there is no such fault, or not so many tasks are possible.
            MissingEvents: the run has no state changes, or none of this series.
        """
        super().__init__()
        self.add_class("labkit-races")
        self._lock = threading.RLock()
        self._static = SavedPicture()
        self.static_id = self._static.name
        self._note = self._answers = ""
        self._mystery = mystery
        self.fault = fault
        if mystery is not None:
            self.fault = random.Random(mystery).choice(sorted(FAULTS))
            workers = max(workers, 2)
        self.on_msg(self._on_message)
        if run is not None:
            self._replay(run, series)
        else:
            self.new(servers, workers, self.fault)

    def new(self, servers: int = 1, workers: int = 2, fault: str = "") -> None:
        """Begin anew with the model.

        Raises:
            ValueError: there is no such fault, or not so many tasks are possible.
        """
        if not 1 <= servers <= _MOST_SERVERS or not 0 <= workers <= _MOST_WORKERS:
            raise ValueError(
                f"{servers} servers and {workers} workers: choose 1 to {_MOST_SERVERS} servers and "
                f"0 to {_MOST_WORKERS} workers"
            )
        with self._lock, self.hold_sync():
            stage = Stepper(servers, workers, frozenset([fault] if fault else []))
            self.stage: Stage = stage
            self.fault = fault
            hidden = self._mystery is not None
            self.options = {
                "model": True,
                "servers": servers,
                "workers": workers,
                "fault": "?" if hidden else fault,
                "faults": {"?": "one that you are to find"} if hidden else {"": "none", **FAULTS},
                "most": [_MOST_SERVERS, _MOST_WORKERS],
            }
            self._note = ""
            self.update()

    def reveal(self) -> str:
        """The name of the mystery's fault."""
        return self.fault

    def judge(self, answer: str) -> str:
        """Is this the mystery's fault? Where it is not, where one sees that it is another.

        Raises:
            ValueError: there is no such fault.
        """
        if answer not in FAULTS:
            raise ValueError(
                f"there is no mistake {answer!r}{meant(answer, FAULTS)}; choose from "
                f"{', '.join(FAULTS)}"
            )
        if answer == self.fault:
            return f"Right: {FAULTS[answer]}."
        return f"It is not {answer}. {why_not(answer, self.fault)}"

    def _replay(self, run: Record, series: str | None) -> None:
        name, tasks, events = pick_series(run, series)
        self.stage = Retrace(prefer_kernel_events(events), tasks)
        self.options = {"model": False, "series": name}
        self.update()

    def update(self) -> None:
        """Show the stage as it is now; for those who move it by hand."""
        with self._lock, self.hold_sync():
            stage = self.stage
            slot = stage.slot()
            self.shown = {
                "at": stage.at,
                "length": stage.length,
                "actors": [
                    {
                        "name": a.name,
                        "role": a.role,
                        "state": a.state.upper(),
                        "flags": flag_words(a.flags).strip().replace("|", ", "),
                        "next": a.next,
                        "where": a.where,
                        "then": list(a.then),
                    }
                    for a in stage.actors()
                ],
                "list": stage.idle_list(),
                "slot": "not recorded" if slot is None else slot or "empty",
                "choices": [c._asdict() for c in stage.choices()],
                "said": stage.said(),
                "broken": stage.broken(),
                "note": self._note,
                "answers": self._answers,
                "table": self._table(),
                "svg": self.svg(),
            }
            self._static.update(str(self.shown["svg"]))

    def svg(self, width: int = _WIDTH) -> str:
        """The timeline of the last steps; empty: nothing has happened yet."""
        rows = self.stage.rows()
        if rows.is_empty():
            return ""
        t1 = int(rows["t"][-1])
        t0 = int(rows["t"].tail(_DRAWN)[0])
        margin = max(1, (t1 - t0) // 20)
        # What is so now is seen, too: a mark at the window's end, which is not drawn itself.
        tid = int(self.stage.tasks["tid"][0])
        until = {"t": t1 + margin, "tid": tid, "kind": "mark", "old": "none", "new": "none"}
        known = pl.concat([rows, schema.events([until | _NOTHING])])
        window = timeline_window(known, self.stage.tasks, t0, t1 + margin, width)
        return picture(window, int(rows["t"][0]), width).svg

    def _table(self) -> dict[str, Any]:
        """The last rows of the event table, as words."""
        rows = self.stage.rows()
        names = dict(self.stage.tasks.select("tid", "name").iter_rows())
        first = max(0, rows.height - _ROWS)
        cells = [
            [
                str(first + i),
                names.get(e["tid"], str(e["tid"])),
                e["kind"],
                f"{e['old']} → {e['new']}",
                flag_words(e["flags"]).strip().replace("|", ", "),
                names.get(e["peer"], "") if e["peer"] else "",
            ]
            for i, e in enumerate(rows.tail(_ROWS).iter_rows(named=True))
        ]
        return {
            "columns": ["event", "task", "kind", "state", "flags", "peer"],
            "rows": cells,
            "more": first,
        }

    def _on_message(self, _: Any, message: dict[str, Any], __: Any) -> None:
        """What the page asks. What goes wrong is told there: a kernel's log is not seen."""
        with self._lock:
            self._note = ""
            # The page asks the next thing when it sees this: each request has an answer of its own.
            self._answers = str(message.get("id", ""))
            try:
                self._do(message)
            except Exception as error:
                self._note = f"{error}"
            self.update()

    def _do(self, message: dict[str, Any]) -> None:
        do, stage = message.get("do"), self.stage
        if do == "go":
            stage.go(int(message["at"]))
        elif not isinstance(stage, Stepper):
            if do in ("choose", "on"):
                stage.go(stage.at + 1)
        elif do == "choose":
            possible = stage.possible()
            number = int(message["number"])
            if 0 <= number < len(possible):
                stage.take(possible[number])
        elif do == "on":
            made = stage.on()
            self._note = (
                f"{counted(made, 'step')} without a choice."
                if made
                else "You have the choice here."
            )
        elif do == "wander":
            made = stage.wander(int(message["count"]), int(message["seed"]))
            self._note = f"{counted(made, 'step')} by the dice."
        elif do == "seek":
            self._note = stage.seek()
        elif do == "new":
            fault = self.fault if self._mystery is not None else str(message["fault"])
            self.new(int(message["servers"]), int(message["workers"]), fault)

    def events(self) -> pl.DataFrame:
        """The event table so far."""
        return self.stage.rows()

    def _ipython_display_(self) -> None:
        self._static.display(self._repr_mimebundle_())
