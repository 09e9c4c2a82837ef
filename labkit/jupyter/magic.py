# SPDX-License-Identifier: MIT
"""`%%policy NAME`: a policy in C in a notebook's cell. `%load_ext labkit` makes it known."""

from __future__ import annotations

import html
from typing import Any

from labkit.sim.building import build
from labkit.sim.errors import BuildError, SimulationError
from labkit.sim.policies import Policy, folder

_HEADERS = ("#include <umcg-policy.h>", "#include <umcg-queue.h>")


class Built:
    """What a cell has made, as a notebook shows it."""

    def __init__(self, policy: Policy, said: str) -> None:
        self.policy = policy
        self.said = said

    def __repr__(self) -> str:
        text = f'{self.policy.name}: {self.policy.summary}\npolicy="{self.policy.name}" has it now'
        return f"{self.said}\n{text}" if self.said else text

    def _repr_html_(self) -> str:
        said = f"<pre>{html.escape(self.said)}</pre>" if self.said else ""
        policy = self.policy
        return (
            f"{said}<p><b>{html.escape(policy.name)}</b>: {html.escape(policy.summary)}<br>"
            f'<code>policy="{html.escape(policy.name)}"</code> has it now.</p>'
        )


def policy(line: str, cell: str) -> Built:
    """Compile the cell and keep it under the name that stands behind `%%policy`.

    The compiler counts lines as the notebook does, `%%policy` being the first. The headers of
    policies are included where the cell does not do it itself. A cell that does not compile leaves
    no policy of this name: the cells below would try an older one, maybe somebody else's.

    Raises:
        UsageError: the name cannot be, or the cell does not compile; shown without a traceback.
    """
    from IPython.core.error import UsageError

    name = line.strip()
    if not name or " " in name:
        raise UsageError("%%policy NAME: give the policy's name, as in UMCG_POLICY(NAME, ...)")
    # In front of the cell's first line, whose number stays what it is.
    missing = "".join(f"{header}\n" for header in _HEADERS if header not in cell)
    text = f'{missing}#line 2 "cell {name}"\n{cell}'
    try:
        return Built(*build(text, name, file=f"cell {name}"))
    except BuildError as error:
        (folder() / f"{name}.so").unlink(missing_ok=True)
        raise UsageError(f"{error}\nThere is no policy {name} until it does.") from None
    except SimulationError as error:
        raise UsageError(str(error)) from None


def load(ipython: Any) -> None:
    """Make `%%policy` known to IPython."""
    ipython.register_magic_function(policy, "cell", "policy")
