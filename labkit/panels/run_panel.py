# SPDX-License-Identifier: MIT
"""A panel: choose what an experiment does, run it, watch it, stop it, look at what came out."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import ipywidgets as widgets

from labkit import api
from labkit.analysis.compare import NotComparable
from labkit.experiments import SPECS, NoUmcgError, Spec, SpecError, Update
from labkit.names import counted, meant
from labkit.native import engine
from labkit.panels.controls import controls
from labkit.panels.interrupt import Interrupts
from labkit.panels.live_chart import LiveChart
from labkit.panels.meter import Meter
from labkit.panels.results import comparison_html, words_html
from labkit.panels.run_view import RunView
from labkit.progress import Clock
from labkit.progress import duration as in_words
from labkit.run import Run, load

#: Seconds between two updates of the page: each is a few messages, and a microVM may be slow.
UPDATE_S = 0.4

#: Seconds that `wait` sleeps at most. An interrupt that comes when it is about to sleep does not
#: wake it; it then comes through after the sleep.
_SLEEP_S = 0.2

_NO_UMCG = (
    "This Linux kernel has no UMCG: Run measures the baselines only. For all of it choose the "
    "Jupyter kernel “Python (UMCG)” (menu Kernel, Change Kernel), or build the patched Linux "
    "kernel first: make -C kernel image."
)


class Panel(widgets.VBox):  # type: ignore[misc]
    """The panel of one experiment.

    Attributes:
        run: the latest complete run made here; before there is one, a stopped one that measured
            something; None: none yet.
        previous: the one before.
        stopped: the latest run that was stopped after something was measured; None: none was.
        failed: what ended the latest run, if that failed.
        recorded: the recorded run it was given.
        shown: what is drawn: `shown.timeline`, distribution and table.
        controls: the controls of the spec's fields by name; `controls["workers"].value = 4`.
    """

    def __init__(
        self,
        experiment: str,
        recorded: Run | str | os.PathLike[str] | None = None,
        **initial: Any,
    ) -> None:
        """Make the panel.

        Args:
            experiment: its name: one of `labkit run`.
            recorded: a run, or a file of `Run.save`, to show where there is no UMCG.
            initial: fields of the experiment's spec to begin with.

        Raises:
            SpecError: unknown experiment or field, a value that is not allowed, or a recorded run
                of another experiment.
            TraceError: `recorded` names a file that is no run.
        """
        self._stop = threading.Event()
        if experiment not in SPECS:
            raise SpecError(
                f"no experiment {experiment!r}{meant(experiment, SPECS)}; choose from "
                f"{', '.join(SPECS)}"
            )
        self._spec = SPECS[experiment]
        self._spec.known(initial)
        with suppress(NoUmcgError):  # the panel says so
            self._spec(**initial)
        self.run: Run | None = None
        self.previous: Run | None = None
        self.stopped: Run | None = None
        self.failed: Exception | None = None
        self.recorded = load(recorded) if isinstance(recorded, str | os.PathLike) else recorded
        if self.recorded is not None and self.recorded.experiment != experiment:
            raise SpecError(
                f"the recorded run is one of {self.recorded.experiment}, not of {experiment}"
            )
        self._lock = threading.RLock()
        self._thread: threading.Thread | None = None
        self._over = threading.Lock()
        self._interrupts = Interrupts(self.stop)
        self.controls = controls(self._spec, initial)
        self._initial = {name: control.value for name, control in self.controls.items()}
        self._make()
        super().__init__(self._layout())
        self.add_class("labkit-panel")
        self.add_class(f"labkit-panel-{experiment}")
        for control in self.controls.values():
            control.changed(self._check)
        self._check()
        if self.recorded is not None and not engine.enabled():
            self._show(self.recorded, "A recorded run, because nothing with UMCG can be run here")

    # What there is.

    def _make(self) -> None:
        self._button = widgets.Button(description="Run", icon="play", button_style="primary")
        self._button.add_class("labkit-run")
        self._button.on_click(lambda _: self._try(self.start))
        self._stopper = widgets.Button(description="Stop", icon="stop", disabled=True)
        self._stopper.add_class("labkit-stop")
        self._stopper.on_click(lambda _: self.stop())
        self._progress = widgets.IntProgress(
            value=0, max=1, layout={"width": "auto", "flex": "1 1 0%"}
        )
        self._progress.add_class("labkit-progress")
        self._progress.tooltip = "How far the run is"
        self._far = widgets.Label()
        self._far.add_class("labkit-far")
        self._said = widgets.HTML()
        self._said.add_class("labkit-message")
        self._live = widgets.HTML()
        self._live.add_class("labkit-live")
        self._chart = LiveChart(self._spec.operations)
        self._saver = widgets.Button(description="Save run", icon="save", disabled=True)
        self._saver.tooltip = "Save the run that is shown as a file beside this notebook"
        self._saver.add_class("labkit-save")
        self._saver.on_click(lambda _: self._try(self._save))
        self._resetter = widgets.Button(description="Reset", icon="undo")
        self._resetter.tooltip = "Set all controls to what they were in the beginning"
        self._resetter.add_class("labkit-reset")
        self._resetter.on_click(lambda _: self.reset())
        self.shown = RunView()
        self._compare_button = widgets.Button(
            description="Compare with the last run", disabled=True, layout={"width": "auto"}
        )
        self._compare_button.add_class("labkit-compare")
        self._compare_button.on_click(lambda _: self._compare_aside())
        self._comparison = widgets.HTML()
        self._comparison.add_class("labkit-comparison")
        self._comparing = widgets.VBox(
            [widgets.HBox([self._compare_button]), self._comparison], layout={"display": "none"}
        )

    def _layout(self) -> list[widgets.Widget]:
        def box(title: str, names: list[str]) -> widgets.Widget:
            head = widgets.HTML(f"<b>{title}</b>")
            rows = [self.controls[name].widget for name in names]
            return widgets.VBox([head, *rows], layout={"flex": "1 1 420px", "max_width": "640px"})

        params = self._spec.params()
        what = [name for name in self.controls if not params[name].measuring]
        how = [name for name in self.controls if params[name].measuring]
        return [
            widgets.HBox(
                [box("What happens", what), box("How it is measured", how)],
                layout={"flex_flow": "row wrap"},
            ),
            widgets.HBox([self._button, self._stopper, self._saver, self._resetter]),
            widgets.HBox([self._progress, self._far]),
            self._said,
            self._live,
            self._chart,
            self.shown,
            self._comparing,
        ]

    # What can be done.

    def spec(self) -> Spec:
        """What the controls ask for.

        Raises:
            SpecError: it is not allowed; NoUmcgError: not here.
        """
        return self._spec(**{name: control.value for name, control in self.controls.items()})

    @property
    def running(self) -> bool:
        """Is an experiment running?"""
        with self._lock:
            return self._thread is not None

    def start(self) -> None:
        """Run what the controls ask for, in the background; `wait` for its end.

        Raises:
            SpecError: the controls ask for something that is not allowed here.
            RuntimeError: it is running already.
        """
        with self._lock:
            if self._thread is not None:
                raise RuntimeError("the experiment is running already; stop it, or wait for it")
            spec = self.spec()
            self.failed = None
            self._stop = threading.Event()
            self._over = threading.Lock()
            self._over.acquire()
            thread = threading.Thread(
                target=self._work, args=(spec, self._stop), name=f"labkit-{spec.experiment}",
                daemon=True,
            )  # fmt: skip
            try:
                self._thread = thread
                self._busy(True)
                self._interrupts.watch()
                thread.start()
            except BaseException:  # an interrupt, or there is no room for a thread
                self._stop.set()
                if not thread.is_alive():  # not yet: it will see that it is not wanted
                    self._end(self._hint())
                raise

    def stop(self) -> None:
        """End the run early: its threads stop, what was measured so far is shown."""
        with self._lock:
            if self._thread is not None:
                self._say("Stopping…")
        self._stop.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until nothing runs, at most `timeout` seconds; is it so?

        An interrupt of the kernel ends the wait and the run.
        """
        end = math.inf if timeout is None else time.monotonic() + timeout
        thread, over = self._thread, self._over
        if thread is None:
            return True
        try:
            # Not `thread.join`: Python 3.11 takes a thread whose join was interrupted for ended.
            while self._runs(thread):
                left = end - time.monotonic()
                if left <= 0:
                    return False
                if over.acquire(timeout=min(left, _SLEEP_S)):
                    over.release()  # for others who wait
            if thread.is_alive():  # in its last line
                thread.join()
        except KeyboardInterrupt:
            self.stop()
            self.wait()
            raise
        return True

    def _runs(self, thread: threading.Thread) -> bool:
        with self._lock:
            return self._thread is thread

    def compare(self) -> None:
        """Set the run beside the one before; see `labkit.compare`."""
        if self.run is None or self.previous is None:
            raise RuntimeError("there are no two runs to compare yet: press Run again")
        try:
            self._comparison.value = comparison_html(self.previous, self.run)
        except NotComparable as error:
            self._comparison.value = words_html(
                f"These runs cannot be compared: {error}.", bad=True
            )

    def reset(self) -> None:
        """Set all controls to what they were in the beginning."""
        for name, value in self._initial.items():
            self.controls[name].value = value

    def save(self, folder: str | os.PathLike[str] = ".") -> Path:
        """Save the run that is shown under a name of its own: `block.parquet`, `block-2.parquet`.

        Args:
            folder: where to.

        Raises:
            RuntimeError: there is no run yet.
            WriteFailed: the folder cannot be written.
        """
        if self.run is None:
            raise RuntimeError("there is no run to save yet: press Run")
        names = (f"{self.run.experiment}{f'-{n}' if n > 1 else ''}.parquet" for n in count(1))
        free = next(file for name in names if not (file := Path(folder) / name).exists())
        return self.run.save(free)

    def _save(self) -> None:
        self._say(f"Saved as {self.save().absolute()}; labkit.load reads it.")

    def _compare_aside(self) -> None:
        """Compare in a thread: intervals take seconds where instructions are interpreted."""
        self._compare_button.disabled = True
        self._comparison.value = words_html("Comparing…")
        self._aside = threading.Thread(target=self._compare_now, daemon=True)
        self._aside.start()

    def _compare_now(self) -> None:
        try:
            self._try(self.compare)
        finally:
            self._compare_button.disabled = self.running or self.previous is None

    def close(self) -> None:
        """Stop what runs, and go."""
        self._stop.set()
        super().close()

    # What happens.

    def _work(self, spec: Spec, stop: threading.Event) -> None:
        """The thread of a run: whatever goes wrong is said in the panel, and all is as before."""
        if not self._runs(threading.current_thread()):
            return
        said, bad = "", False
        try:
            run = api.run(spec, self._watcher(spec.seconds()), stop)
            said = self._take(run)
        except Exception as error:
            self.failed = error
            said, bad = _explain(error), True
        finally:
            self._end(said or self._hint(), bad=bad)

    def _take(self, run: Run) -> str:
        """Keep and show what a run gave; what is to be said of it."""
        stopped = bool(run.counters.get("stopped"))
        if not run.samples.height and not run.events.height:
            return "Stopped before anything was measured." if stopped else ""
        if stopped:
            self.stopped = run
            if self.run is not None and not self.run.counters.get("stopped"):
                return (
                    "Stopped. Shown is still the last complete run; what was measured until then "
                    "is in the panel's attribute stopped."
                )
        self.previous, self.run = self.run, run
        self._say("Drawing…")
        self._show(run, "This run")
        return "Stopped; shown is what was measured until then." if stopped else ""

    def _end(self, said: str, *, bad: bool = False) -> None:
        with self._lock:
            self._thread = None
            self._interrupts.leave()
            self._live.value = self._far.value = ""
            self._busy(False)
            self._say(said, bad=bad)
            self._over.release()

    def _watcher(
        self, expected: float | None = None, clock: Callable[[], float] = time.monotonic
    ) -> Callable[[Update], None]:
        meter, words = Meter(clock, operations=self._spec.operations), Clock(clock, expected)
        last = clock()
        self._chart.clear()
        self._say("Running…")

        def watch(update: Update) -> None:
            nonlocal last
            meter.take(update)
            now = clock()
            if now - last < UPDATE_S and update.done < update.total:
                return
            last = now
            self._progress.max, self._progress.value = max(1, update.total), update.done
            self._far.value = f"{words(update.done, update.total)}: {update.what}"
            reading = meter.read()
            self._live.value = meter.html(reading)
            self._chart.add(now, reading)

        return watch

    def _busy(self, yes: bool) -> None:
        self._button.disabled, self._stopper.disabled = yes, not yes
        for control in self.controls.values():
            control.enable(not yes)
        self._compare_button.disabled = yes or self.previous is None
        self._saver.disabled = yes or self.run is None
        self._resetter.disabled = yes
        if yes:
            self._progress.value = 0
            self._say("Starting…")
        else:
            self._check()

    def _check(self) -> None:
        """Run can be pressed when the controls ask for something that can be run."""
        if self.running:
            return
        try:
            asked = self.spec()
        except SpecError as error:
            self._button.disabled = True
            self._far.value = ""
            self._say(f"Run is not possible: {error}.", bad=True)
            return
        self._button.disabled = False
        self._far.value = (
            f"{counted(asked.measurements(), 'measurement')}, about {in_words(asked.seconds())}"
        )
        self._say(self._hint())

    def _hint(self) -> str:
        return "" if engine.enabled() else _NO_UMCG

    def _try(self, do: Callable[[], None]) -> None:
        try:
            do()
        except Exception as error:
            self._say(_explain(error), bad=True)

    def _say(self, text: str, *, bad: bool = False) -> None:
        self._said.value = words_html(text, bad=bad) if text else ""

    def _show(self, run: Run, title: str) -> None:
        self._comparison.value = ""
        self.shown.show(run, title)
        self._comparing.layout.display = None

    def __repr__(self) -> str:
        return f"Panel({self._spec.experiment!r})"

    def _ipython_display_(self) -> None:
        self.shown.display(self._repr_mimebundle_())


def _explain(error: Exception) -> str:
    if isinstance(error, engine.EngineError):
        return f"The measurement failed: {error}."
    if isinstance(error, SpecError | RuntimeError | OSError):
        return _sentence(str(error))
    return f"{type(error).__name__}: {error}. Nothing is running any more."


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
