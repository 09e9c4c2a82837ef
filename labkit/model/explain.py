# SPDX-License-Identifier: MIT
"""What a step of the model does, in words, and what it means that a property is broken."""

from __future__ import annotations

from labkit.model import passing, ranks
from labkit.model.machine import Step, World

#: The faults of `machine`, as a reader is told of them.
FAULTS = {
    "no-recheck": "a server that goes to sleep does not look at the idle list again",
    "late-wake": "a wake-up compares the server's word with IDLE alone, not with what it read",
    "unlocked-swap": "a swap makes the next worker RUNNING without LOCKED",
    "no-look-again": "places pass on; a worker that blocks does not look at the idle list again",
    "adopt-unseen": "places pass on; what takes a place does not look whether it is free",
    "take-unseen": "ranks; what takes a place does not look whether its worker still has it",
    "tenant-goes-on": "ranks; a worker whose place has been taken goes on in user mode",
}

#: Faults of more than the plain protocol, the last that was added first: the flag that servers lend
#: with where one is, and what is not seen without it.
_KINDS = (
    ("RANK", ranks.FAULTS, "no place is taken"),
    ("ADOPT", passing.FAULTS, "no place passes on"),
)

#: What one does to see that a fault is not there, and what then happens. In “”: what a button says.
_NOT_THERE = {
    "no-recheck": "push a worker on the list just before a server's “look at the idle list again”; "
    "the server stays awake",
    "late-wake": "let the server's word change between “read the slot” and “wake the server, if "
    "its word is as read”; the word stays as it is",
    "unlocked-swap": "look at the other worker after the first step of a swap; it is RUNNING and "
    "LOCKED",
    "no-look-again": "push a worker on the list just before the kernel's “look at the idle list "
    "again”, which it makes for one that blocks; the server gets its place back",
    "adopt-unseen": "let another worker take the place between “look for a free place” and “clear "
    "FREE, if it is set”; the one that comes too late does not get it",
    "take-unseen": "let the worker that has the place yield just before its word goes “RUNNING → "
    "BLOCKED”; the word is not changed",
    "tenant-goes-on": "look at a worker that was in user mode when its word went “RUNNING → "
    "BLOCKED”; it does nothing there any more",
}

#: The properties of `machine.violations`.
BROKEN = {
    "lost-wake-up": "Lost wake-up: a worker may run, every server sleeps, and none is on the way "
    "to wake one. Nothing will ever happen again.",
    "server-and-worker-both-run": "A server and the worker that it lent its place to are both in "
    "user mode: two threads in one place.",
    "two-workers-on-a-server": "Two workers are in user mode in the place of one server.",
    "worker-without-server": "A worker is in user mode in a place that no registered server has.",
    "worker-beside-free-place": "A worker is on the idle list beside a free place, and "
    "no task is about to use it: it waits until another task wakes up.",
    "runs-without-place": "A worker is in user mode, and its place is another's.",
}

#: What makes a step: what its name begins with says it; the rest are steps of the task itself.
_KERNEL = (
    "wake: ",
    "pass: ",
    "adopt: ",
    "take: ",
    "free server: block",
    "free server: preempt",
    "kernel wakes",
    "block",
    "kick",
)

#: Action to (what the button says, what it does). `{me}` acts, `{it}` is acted on.
_ACTIONS = {
    "register": (
        "register",
        "{me} registers. A server's word becomes RUNNING, a worker's BLOCKED: the kernel "
        "wakes it up at once, so it begins on the idle list.",
    ),
    "unregister": (
        "unregister",
        "{me} leaves the group: its word becomes NONE.",
    ),
    "resume": (
        "go on",
        "{me} sees RUNNING in its own word, leaves umcg_wait and is in user mode.",
    ),
    "dismiss": (
        "wake it: all have left",
        "No worker is left; {me} is woken, so that it can leave.",
    ),
    "op": (
        "compute",
        "{me} computes in user mode. No word changes.",
    ),
    "kernel wakes": (
        "the wait is over",
        "What {me} waited for in the kernel has come: the kernel begins to wake it up.",
    ),
    "take list": (
        "take the idle list",
        "{me} takes the whole idle list with one exchange. From now on it alone may run these"
        " workers.",
    ),
    "run": (
        "run {it}",
        "{me} lends its place: it writes {it} into next_tid, its own word goes from RUNNING "
        "to IDLE.",
    ),
    "run: mark": (
        "{it}: IDLE → RUNNING, LOCKED",
        "Compare-and-swap on the word of {it}. LOCKED keeps it from starting before {me} has left.",
    ),
    "run: unlock": (
        "clear LOCKED of {it}",
        "{me} clears LOCKED in the word of {it}: it may start.",
    ),
    "wait": (
        "sleep in umcg_wait",
        "{me} enters umcg_wait. The kernel clears LOCKED in its word, then it sleeps until "
        "its word says RUNNING.",
    ),
    "sleep": (
        "go to sleep: RUNNING → IDLE",
        "{me} has no worker to run. Its own word becomes IDLE.",
    ),
    "sleep: publish": (
        "write its tid into the slot",
        "{me} writes its tid into the slot: what wakes up finds there which server to wake.",
    ),
    "sleep: look again": (
        "look at the idle list again",
        "{me} looks at the list once more: a worker may have come before its tid was in the "
        "slot. If so it takes its tid back and its word becomes RUNNING; if not, it sleeps.",
    ),
    "yield": (
        "yield: RUNNING → IDLE, LOCKED",
        "{me} gives its place back. LOCKED, as it is still in user mode: no server may run it yet.",
    ),
    "swap": (
        "swap to {it}",
        "{me} wants {it} to have its place. First the word of {it}: IDLE → RUNNING and "
        "LOCKED, so that it cannot start yet.",
    ),
    "swap: leave": (
        "own word: RUNNING → IDLE, LOCKED",
        "{me} leaves its place, {it} gets the server that {me} had.",
    ),
    "swap: hand over": (
        "clear LOCKED of {it}",
        "{me} clears LOCKED in the word of {it}: now it may start in the place that {me} has left.",
    ),
    "block": (
        "block in the kernel",
        "{me} sleeps in a system call or a page fault. The kernel makes its word BLOCKED.",
    ),
    "preempt": (
        "it is to leave its server: PREEMPTED",
        "A watchdog sets PREEMPTED in the word of {me}.",
    ),
    "kick": (
        "the kernel takes it off",
        "The kernel sees PREEMPTED in the word of {me} on its way back to user mode, and "
        "makes it IDLE: the place is free.",
    ),
    "wake: idle": (
        "BLOCKED → IDLE",
        "The kernel makes the word of {me} IDLE: it may be run.",
    ),
    "wake: push": (
        "push it on the idle list",
        "The kernel pushes {me} on the idle list.",
    ),
    "wake: read slot": (
        "read the slot",
        "The kernel reads the slot for {me} and, if a server's tid is in it, that server's word.",
    ),
    "wake: take": (
        "take the tid out of the slot",
        "Compare-and-swap on the slot: only one may wake this server.",
    ),
    "wake: server": (
        "wake the server, if its word is as read",
        "Compare-and-swap on the server's word: if it is still what was read before, it "
        "becomes RUNNING.",
    ),
    "free server: yield": (
        "{it}: IDLE → RUNNING",
        "{me} gives the server {it} its place back.",
    ),
    "free server: block": (
        "{it}: IDLE → RUNNING",
        "The kernel gives {it} its place back, because {me} is blocked.",
    ),
    "free server: preempt": (
        "{it}: IDLE → RUNNING",
        "The kernel gives {it} its place back, because {me} was taken off.",
    ),
    "free server: unregister": (
        "{it}: IDLE → RUNNING",
        "{me} gives {it} its place back and is an ordinary thread again.",
    ),
    "pass: look": (
        "{it}: set FREE, if the list is empty",
        "{me} is blocked. If the idle list is empty, the kernel sets FREE in the word of {it}, "
        "which is not told: the place may pass on. Else {it} gets its place back.",
    ),
    "pass: offer": (
        "write {it} into its slot",
        "The kernel writes the tid of {it} into its slot: the next worker that comes back finds "
        "the place there.",
    ),
    "pass: look again": (
        "look at the idle list again",
        "The kernel looks at the list once more: a worker may have come before {it} was in its "
        "slot. If so it takes the tid out again and wakes {it}.",
    ),
    "adopt: look": (
        "look for a free place",
        "{me} comes back. If the idle list is empty and a server is in its slot, the kernel takes "
        "that one's tid out of it; else {me} goes on the list.",
    ),
    "adopt: lend": (
        "{it}: clear FREE, if it is set",
        "Compare-and-swap on the word of {it}: if no worker has the place, {me} has it now, and "
        "{it} is not told.",
    ),
    "revoke": (
        "no more passing on: clear ADOPT",
        "Somebody wants {me} told of the next block, and clears ADOPT in its word.",
    ),
    "take: look": (
        "look for a worker of worse rank",
        "{me} comes back and finds no free place. Of the workers of worse rank that have one, and "
        "have been preempted, the kernel takes the worst; if there is none, {me} goes on the list.",
    ),
    "take: evict": (
        "{it}: RUNNING → BLOCKED",
        "Compare-and-swap on the word of {it}, which waits for a CPU: if it is what it was, {it} "
        "has lost its place, and comes back later like any other that has blocked.",
    ),
    "take: place": (
        "{it}: a new tenant",
        "The word of {it} has a new time, and its record names {me}. {it} is not told.",
    ),
    "take: run": (
        "BLOCKED → RUNNING",
        "{me} has a place, that of {it}: its word becomes RUNNING.",
    ),
    "adopt: run": (
        "BLOCKED → RUNNING",
        "{me} has a place, that of {it}: its word becomes RUNNING.",
    ),
}


def why_not(fault: str, real: str) -> str:
    """Where one sees that a model with the fault `real` does not have `fault`, as a sentence."""
    for flag, faults, none in _KINDS:
        if real in faults and fault not in faults:
            return f"Servers lend with {flag} here; what is wrong comes with that."
        if fault in faults and real not in faults:
            return f"No server lends with {flag} here, so {none}."
    text = _NOT_THERE[fault]
    return f"{text[:1].upper()}{text[1:]}."


def name_of(w: World, tid: int) -> str:
    """`server 0`, `worker 1`: what a task is called; empty for 0."""
    return f"{w[tid].role} {tid % 100 - 1}" if tid else ""


def by_kernel(step: Step) -> bool:
    """Does the kernel make this step for its actor?"""
    return step.action.startswith(_KERNEL)


def label(w: World, step: Step) -> str:
    """What the step does, as a button says it."""
    return _ACTIONS[step.action][0].format(it=name_of(w, step.target))


def explain(w: World, step: Step) -> str:
    """What the step does, as a sentence."""
    it = name_of(w, step.target)
    text = _ACTIONS[step.action][1].format(me=name_of(w, step.actor), it=it)
    return text[:1].upper() + text[1:]
