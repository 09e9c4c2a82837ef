# SPDX-License-Identifier: MIT
"""Tasks that share a memory, in every order of their steps: a model checker for an exercise."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

Memory: TypeAlias = dict[str, Any]
Step: TypeAlias = Callable[[Memory], Any]
Task: TypeAlias = Callable[[], Generator[Step, Any, Any]]

#: Steps of one task, at most: then it is taken for endless.
MOST_STEPS = 20


class Order(NamedTuple):
    """One order of steps, and how it ended.

    Attributes:
        way: the names of the tasks, one for each step.
        memory: what is shared, at the end.
        returned: what each task returned, by its name.
    """

    way: tuple[str, ...]
    memory: Memory
    returned: dict[str, Any]


def read(what: str) -> Step:
    """A step: look at something; `yield` gives it."""
    return lambda memory: memory[what]


def write(what: str, new: Any) -> Step:
    """A step: put something there; `yield` gives what was there before, as of an exchange."""

    def step(memory: Memory) -> Any:
        before, memory[what] = memory[what], new
        return before

    return step


class _Run:
    """Tasks on their way, from the beginning."""

    def __init__(self, tasks: Mapping[str, Task], memory: Memory) -> None:
        self.memory = dict(memory)
        self.next: dict[str, tuple[Generator[Step, Any, Any], Step]] = {}
        self.returned: dict[str, Any] = {}
        self.way: list[str] = []
        for name, task in tasks.items():
            made = task()
            if not isinstance(made, Generator):
                raise TypeError(f"{name} has no `yield`: each step is one `yield`")
            self._on(name, made, None)

    def _on(self, name: str, task: Generator[Step, Any, Any], answer: Any) -> None:
        """Let a task run to its next step, or to its end."""
        self.next.pop(name, None)
        try:
            step = task.send(answer)
        except StopIteration as end:
            self.returned[name] = end.value
            return
        if not callable(step):
            raise TypeError(f"{name} yields {step!r}, which is no step: read(...) or write(...)")
        self.next[name] = task, step

    def step(self, name: str) -> None:
        """Make the next step of a task."""
        if self.way.count(name) == MOST_STEPS:
            raise RuntimeError(f"{name} makes more than {MOST_STEPS} steps: does it end?")
        self.way.append(name)
        task, step = self.next[name]
        self._on(name, task, step(self.memory))


def every_order(tasks: Mapping[str, Task], memory: Memory) -> Iterator[Order]:
    """Run tasks from the beginning, once in every order that their steps can have.

    Args:
        tasks: by name, each a function that makes a generator of steps.
        memory: what they share, at the beginning.

    Raises:
        TypeError: a task is none, or what it yields is no step.
        RuntimeError: a task does not end.
    """
    ways: list[tuple[str, ...]] = [()]
    while ways:
        run, known = _Run(tasks, memory), ways.pop()
        while run.next:
            able = sorted(run.next)
            made = len(run.way)
            if made >= len(known):
                ways += [(*run.way, other) for other in able[1:]]
            run.step(known[made] if made < len(known) else able[0])
        yield Order(tuple(run.way), run.memory, run.returned)
