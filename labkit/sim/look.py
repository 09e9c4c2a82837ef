# SPDX-License-Identifier: MIT
"""`python -m labkit.sim.look FILE`: what the policy in a shared object says of itself, as JSON."""

from __future__ import annotations

import dataclasses
import json
import sys

from labkit.sim import core, policies
from labkit.sim.errors import ChoiceError

if __name__ == "__main__":
    try:
        choice, _ = core.choose(sys.argv[1])
    except ChoiceError as error:
        sys.exit(str(error))
    print(json.dumps(dataclasses.asdict(policies.describe(choice.policy))))
