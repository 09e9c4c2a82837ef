# SPDX-License-Identifier: MIT
"""What work there is, as data: the same description drives the simulator and the kernel.

    from labkit.workload import Class, Compute, Exponential, Poisson, Workload
    get = Class(name="get", arrivals=Poisson(50_000), phases=(Compute(Exponential("10us")),))
    Workload(classes=(get,), duration="100ms", seed=7)

Times are whole nanoseconds or texts with a unit: `10_000`, `"10us"`, `"1.5ms"`, `"2s"`.
"""

from labkit.workload.arrivals import Arrivals, Closed, Periodic, Poisson, Trace
from labkit.workload.distributions import (
    Bimodal,
    Constant,
    Distribution,
    Empirical,
    Exponential,
    Lognormal,
    Uniform,
)
from labkit.workload.files import from_dict, load, save, to_dict
from labkit.workload.model import Class, Workload
from labkit.workload.phases import Compute, Fault, Io, Lock, Phase, Sleep, Yield
from labkit.workload.rtapp import from_rtapp
from labkit.workload.times import WorkloadError

__all__ = [
    "Arrivals",
    "Bimodal",
    "Class",
    "Closed",
    "Compute",
    "Constant",
    "Distribution",
    "Empirical",
    "Exponential",
    "Fault",
    "Io",
    "Lock",
    "Lognormal",
    "Periodic",
    "Phase",
    "Poisson",
    "Sleep",
    "Trace",
    "Uniform",
    "Workload",
    "WorkloadError",
    "Yield",
    "from_dict",
    "from_rtapp",
    "load",
    "save",
    "to_dict",
]
