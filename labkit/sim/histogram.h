/* SPDX-License-Identifier: MIT */
/* Counts of times; a time is kept to within 1 in 128, small ones exactly. */
#ifndef SIM_HISTOGRAM_H
#define SIM_HISTOGRAM_H

#include <stdbool.h>
#include <stdint.h>

#define SIM_SUB_BITS	7
#define SIM_BUCKETS	((65 - SIM_SUB_BITS) << SIM_SUB_BITS)

struct sim_histogram {
	uint64_t n, sum, max;
	uint64_t *buckets;		/* SIM_BUCKETS of them, when there is any */
};

/* False: no memory. */
bool sim_histogram_add(struct sim_histogram *histogram, uint64_t value);
/* The largest time of the bucket that holds quantile @q, at most the maximum. */
uint64_t sim_histogram_quantile(const struct sim_histogram *histogram, double q);

#endif
