# SPDX-License-Identifier: MIT
"""What IPython offers at `labkit.<TAB>` and `labkit.swap(<TAB>`, with and without jedi."""

from __future__ import annotations

import importlib
import pkgutil
import types

import pytest
from IPython.core.completer import IPCompleter, provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell

import labkit
from labkit.experiments import SPECS

WANTED = {
    *SPECS, "Run", "compare", "doctor", "import_trace", "kept", "load", "panel", "record",
    "simulate", "timeline",
}  # fmt: skip


@pytest.fixture(params=[False, True], ids=["plain", "jedi"])
def completer(request: pytest.FixtureRequest) -> IPCompleter:
    shell = InteractiveShell()
    shell.user_ns["labkit"] = labkit
    made = shell.Completer
    made.use_jedi = request.param
    made.jedi_compute_type_timeout = 60_000
    return made


def offered(completer: IPCompleter, text: str) -> set[str]:
    with provisionalcompleter():
        return {one.text.lstrip(".") for one in completer.completions(text, len(text))}


def test_the_package_offers_what_it_has(completer: IPCompleter) -> None:
    found = offered(completer, "labkit.")
    assert found >= WANTED
    assert not found & {"Any", "TYPE_CHECKING", "import_module", "annotations"}


def test_an_unknown_name_says_what_was_meant() -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'swop' \(did you mean 'swap'\?\)"):
        labkit.swop  # noqa: B018
    with pytest.raises(AttributeError, match=r"no attribute 'compair' \(did you mean 'compare'"):
        labkit.compair  # noqa: B018


def test_an_experiment_offers_its_fields(completer: IPCompleter) -> None:
    for name, spec in SPECS.items():
        assert offered(completer, f"labkit.{name}(") >= {f"{field}=" for field in spec.params()}
    assert "repetitions=" in offered(completer, "labkit.swap(methods=('futex',), rep")


def _packages() -> list[types.ModuleType]:
    inner = pkgutil.walk_packages(labkit.__path__, "labkit.")
    return [labkit, *(importlib.import_module(one.name) for one in inner if one.ispkg)]


@pytest.mark.parametrize("package", _packages(), ids=lambda package: package.__name__)
def test_no_module_is_called_like_something_public(package: types.ModuleType) -> None:
    modules = {one.name for one in pkgutil.iter_modules(package.__path__)}
    public = set(getattr(package, "__all__", ())) | {n for n in vars(package) if n[0] != "_"}
    if package is labkit:
        public |= set(SPECS)
    both = {
        name
        for name in modules & public
        if not isinstance(getattr(package, name), types.ModuleType)
        or callable(getattr(package, name))
    }
    assert not both
