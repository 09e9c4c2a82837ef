# SPDX-License-Identifier: MIT
"""Random times: own logarithm and exponential, distributions, the same bits everywhere."""

from __future__ import annotations

import hashlib
import math
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from labkit.sim._simulator import ffi, lib

from labkit import sim
from labkit.sim.building import compiler
from labkit.sim.compiled import Compiled
from labkit.workload import Bimodal, Constant, Empirical, Exponential, Lognormal, Uniform

N = 100_000
ROOM = Path(sim.__file__).parent


def draw(of: Any, n: int = N, seed: int = 1) -> np.ndarray[Any, Any]:
    made = Compiled()
    made.distribution(of)
    one = made.array("struct sim_distribution", made.distributions)
    values = made.array("uint64_t", made.values)
    state = ffi.new("uint64_t *", lib.sim_stream(seed, 0, 0))
    return np.array([lib.sim_draw(one, values, job, state) for job in range(n)], np.uint64)


@given(st.floats(1e-300, 1e300))
def test_log_is_right_to_a_few_bits(x: float) -> None:
    assert lib.sim_log(x) == pytest.approx(math.log(x), rel=4e-16, abs=4e-16)


@given(st.floats(-600, 600))
def test_exp_is_right_to_a_few_bits(x: float) -> None:
    assert lib.sim_exp(x) == pytest.approx(math.exp(x), rel=2e-15)


def test_distributions_have_their_moments() -> None:
    """Bounds of five standard errors; the seed is fixed, so this cannot fail by chance."""
    values = draw(Exponential(10**6)).astype(float)
    assert values.mean() == pytest.approx(1e6, rel=5 / N**0.5)
    assert np.median(values) == pytest.approx(1e6 * math.log(2), rel=0.02)
    values = draw(Lognormal(10**6, 0.5)).astype(float)
    assert np.log(values).mean() == pytest.approx(math.log(1e6), abs=5 * 0.5 / N**0.5)
    assert np.log(values).std() == pytest.approx(0.5, rel=0.02)
    values = draw(Uniform(10, 19)).astype(float)
    assert set(values) == set(range(10, 20))
    assert values.mean() == pytest.approx(14.5, abs=5 * 2.9 / N**0.5)
    values = draw(Bimodal(1, 2, 0.1)).astype(float)
    assert values.mean() == pytest.approx(1.1, abs=5 * 0.3 / N**0.5)
    assert set(draw(Empirical((3, 5, 9)), 1000)) == {3, 5, 9}
    assert list(draw(Empirical((3, 5, 9), in_order=True), 5)) == [3, 5, 9, 3, 5]
    assert set(draw(Constant(7), 5)) == {7}


def test_the_bits_are_the_same_on_every_machine() -> None:
    digest = hashlib.sha256()
    for of in (Exponential(10**6), Lognormal(10**6, 2.0), Uniform(0, 10**9), Bimodal(1, 2, 0.3)):
        digest.update(draw(of, 20_000, 42).astype("<u8").tobytes())
    assert digest.hexdigest() == "78faab95e89741f0d744dbc80df0c077c117f7dbbdf0875b1dea79c9dffb2b37"


PROGRAM = """
#include <stdio.h>
#include "random.h"
int main(void)
{
	const struct sim_distribution of[] = {
		{ SIM_EXPONENTIAL, 1000000, 0, 0 }, { SIM_LOGNORMAL, 1000000, 0, 2.0 },
	};
	uint64_t sum = 0;
	for (int k = 0; k < 2; k++) {
		uint64_t state = sim_stream(42, (uint64_t)k, 0);
		for (int i = 0; i < 100000; i++)
			sum = sum * 31 + sim_draw(&of[k], 0, 0, &state);
	}
	printf("%llu", (unsigned long long)sum);
}
"""


def test_no_optimisation_changes_the_bits(tmp_path: Path) -> None:
    """Nor does the machine's fused multiplication, where it has one."""
    (tmp_path / "bits.c").write_text(PROGRAM, encoding="utf-8")
    found = set()
    for flags in ("-O0", "-O2", "-O3 -march=native"):
        command = [*compiler(), "-std=gnu11", "-ffp-contract=off", *flags.split()]
        command += [f"-I{ROOM}", str(tmp_path / "bits.c"), str(ROOM / "random.c"), "-lm"]
        subprocess.run([*command, "-o", str(tmp_path / "bits")], check=True)
        made = subprocess.run([str(tmp_path / "bits")], capture_output=True, text=True, check=True)
        found.add(made.stdout)
    assert len(found) == 1
