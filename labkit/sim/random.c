// SPDX-License-Identifier: MIT
/*
 * Random times that are the same to the bit on every machine. Floating point here
 * is + - * / and the square root of doubles, which IEEE 754 rounds exactly, in the
 * order written: the file is compiled with -ffp-contract=off, so that no machine
 * melts a product and a sum into one rounding. log() and exp() of a C library
 * differ in the last bit from one to the next, so they are here.
 */
#include <string.h>

#include "random.h"

#define LN2_HIGH	0x1.62e42feep-1		/* ln 2 in two parts: k * HIGH is exact */
#define LN2_LOW		0x1.a39ef35793c76p-33

uint64_t sim_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

uint64_t sim_stream(uint64_t seed, uint64_t klass, uint64_t job)
{
	uint64_t state = seed;

	state = sim_random(&state) ^ klass;
	state = sim_random(&state) ^ job;
	return sim_random(&state);
}

/* In (0, 1], every multiple of 2^-53 as likely. */
static double unit(uint64_t *state)
{
	return (double)((sim_random(state) >> 11) + 1) * 0x1p-53;
}

/* Of both compilers, on every machine of 64 bits. */
__extension__ typedef unsigned __int128 wide_t;

/* In [0, bound), without the bias of a remainder (Lemire, TOMACS 2019). */
static uint64_t below(uint64_t bound, uint64_t *state)
{
	wide_t wide = (wide_t)sim_random(state) * bound;

	if ((uint64_t)wide < bound) {
		uint64_t least = -bound % bound;

		while ((uint64_t)wide < least)
			wide = (wide_t)sim_random(state) * bound;
	}
	return (uint64_t)(wide >> 64);
}

/* x = m 2^k with m about 1; ln m by the series of 2 artanh((m - 1) / (m + 1)). */
double sim_log(double x)
{
	uint64_t bits;
	int64_t k;
	double m, s, q, sum = 0;

	memcpy(&bits, &x, sizeof(bits));
	k = (int64_t)(bits >> 52) - 1023;
	bits = (bits & 0xfffffffffffffULL) | 0x3ff0000000000000ULL;
	memcpy(&m, &bits, sizeof(m));
	if (m > 0x1.6a09e667f3bcdp0) {
		m = m * 0.5;
		k++;
	}
	s = (m - 1) / (m + 1);
	q = s * s;
	for (int n = 21; n >= 1; n -= 2)
		sum = sum * q + 1.0 / n;
	return (double)k * LN2_HIGH + ((double)k * LN2_LOW + 2 * s * sum);
}

/* x = k ln 2 + r; e^r by its series. */
double sim_exp(double x)
{
	double scaled = x * 0x1.71547652b82fep0, r, sum = 1, scale;
	int64_t k = (int64_t)(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
	uint64_t bits;

	if (k < -1000)
		return 0;
	if (k > 1000)
		k = 1000;
	r = (x - (double)k * LN2_HIGH) - (double)k * LN2_LOW;
	for (int n = 14; n >= 1; n--)
		sum = sum * r / n + 1;
	bits = (uint64_t)(k + 1023) << 52;
	memcpy(&scale, &bits, sizeof(scale));
	return sum * scale;
}

/* The polar method (Marsaglia, Bray, SIAM Review 1964); its twin is not kept. */
static double normal(uint64_t *state)
{
	double x, y, s;

	do {
		x = 2 * unit(state) - 1;
		y = 2 * unit(state) - 1;
		s = x * x + y * y;
	} while (s >= 1 || s == 0);
	return x * __builtin_sqrt(-2 * sim_log(s) / s);
}

static uint64_t whole(double x)
{
	return x >= (double)SIM_LONGEST ? SIM_LONGEST : (uint64_t)(x + 0.5);
}

uint64_t sim_draw_exponential(double mean, uint64_t *state)
{
	return whole(-mean * sim_log(unit(state)));
}

uint64_t sim_draw(const struct sim_distribution *of, const uint64_t *values, uint64_t job,
		  uint64_t *state)
{
	switch (of->kind) {
	case SIM_EXPONENTIAL:
		return sim_draw_exponential((double)of->a, state);
	case SIM_UNIFORM:
		return of->a + below(of->b - of->a + 1, state);
	case SIM_BIMODAL:
		return unit(state) <= of->p ? of->b : of->a;
	case SIM_LOGNORMAL:
		return whole((double)of->a * sim_exp(of->p * normal(state)));
	case SIM_EMPIRICAL:
		return values[of->b + below(of->a, state)];
	case SIM_IN_ORDER:
		return values[of->b + job % of->a];
	default:
		return of->a;
	}
}
