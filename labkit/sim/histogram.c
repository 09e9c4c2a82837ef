// SPDX-License-Identifier: MIT
/* A histogram with buckets of equal relative width (as HdrHistogram's). */
#include <stdlib.h>

#include "histogram.h"

static uint32_t bucket_of(uint64_t value)
{
	uint32_t shift;

	if (value < 2ULL << SIM_SUB_BITS)
		return (uint32_t)value;
	shift = 63 - SIM_SUB_BITS - (uint32_t)__builtin_clzll(value);
	return ((shift << SIM_SUB_BITS) + (uint32_t)(value >> shift));
}

static uint64_t largest_of(uint32_t bucket)
{
	uint32_t shift;
	uint64_t top;

	if (bucket < 2U << SIM_SUB_BITS)
		return bucket;
	shift = (bucket >> SIM_SUB_BITS) - 1;
	top = bucket - (shift << SIM_SUB_BITS);
	return ((top + 1) << shift) - 1;
}

bool sim_histogram_add(struct sim_histogram *histogram, uint64_t value)
{
	if (!histogram->buckets) {
		histogram->buckets = calloc(SIM_BUCKETS, sizeof(uint64_t));
		if (!histogram->buckets)
			return false;
	}
	histogram->buckets[bucket_of(value)]++;
	histogram->n++;
	histogram->sum += value;
	if (value > histogram->max)
		histogram->max = value;
	return true;
}

uint64_t sim_histogram_quantile(const struct sim_histogram *histogram, double q)
{
	uint64_t seen = 0, wanted = (uint64_t)(q * (double)histogram->n);

	for (uint32_t i = 0; histogram->n && i < SIM_BUCKETS; i++) {
		seen += histogram->buckets[i];
		/* The same rank as in a sorted list: number @wanted, from 0. */
		if (seen > wanted || seen == histogram->n) {
			uint64_t value = largest_of(i);

			return value < histogram->max ? value : histogram->max;
		}
	}
	return 0;
}
