/* SPDX-License-Identifier: MIT */
/* Random times that are the same to the bit on every machine. */
#ifndef SIM_RANDOM_H
#define SIM_RANDOM_H

#include <stdint.h>

/* cffi: begin */
/* As in labkit/workload/distributions.py; times in ns. */
enum sim_distribution_kind {
	SIM_CONSTANT,		/* a */
	SIM_EXPONENTIAL,	/* mean a */
	SIM_UNIFORM,		/* a to b, both included */
	SIM_BIMODAL,		/* a, with probability p b */
	SIM_LOGNORMAL,		/* median a, sigma p */
	SIM_EMPIRICAL,		/* one of a values from values[b] on */
	SIM_IN_ORDER,		/* the same, by the number of the job */
};

struct sim_distribution {
	uint32_t kind;
	uint64_t a, b;
	double p;
};

/* The next number of a stream (splitmix64; Steele, Lea, Flood, OOPSLA 2014). */
uint64_t sim_random(uint64_t *state);
/* The beginning of a stream of its own for each (seed, class, job). */
uint64_t sim_stream(uint64_t seed, uint64_t klass, uint64_t job);
/* A time, in ns. @values are those of all empirical distributions. */
uint64_t sim_draw(const struct sim_distribution *of, const uint64_t *values, uint64_t job,
		  uint64_t *state);
/* Until the next arrival at a mean distance of @mean ns. */
uint64_t sim_draw_exponential(double mean, uint64_t *state);

/* Of x > 0, and e to the x, for tests beside the library's. */
double sim_log(double x);
double sim_exp(double x);
/* cffi: end */

/* No time drawn is longer: see LONGEST in labkit/workload/times.py. */
#define SIM_LONGEST	100000000000000000ULL

#endif
