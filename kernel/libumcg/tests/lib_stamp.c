// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The timestamp in the state word: right after a sleep of any length, although it
 * comes round after 13 days, and always a new one. Needs no UMCG.
 */
#include <stdio.h>

#include "../src/internal.h"

#define SECOND	1000000000ULL
#define DAY	(86400 * SECOND)

static uint64_t stamp_of(uint64_t word)
{
	return word >> (64 - UMCG_STATE_TIMESTAMP_BITS);
}

static int sleep_of(uint64_t length)
{
	const uint64_t mask = (1ULL << UMCG_STATE_TIMESTAMP_BITS) - 1;
	uint64_t now = 3 * DAY, word = umcg_word(0, IDLE, now);

	now += length;
	for (int i = 0; i < 5; i++, now += SECOND) {
		uint64_t before = word, right = now >> UMCG_STATE_TIMESTAMP_GRANULARITY & mask;

		word = umcg_word(word, i % 2 ? IDLE : RUNNING, now);
		if (stamp_of(word) != right || word == before) {
			fprintf(stderr, "%d s after a sleep of %.1f days: %.6f s off\n", i,
				(double)length / DAY,
				(double)((right - stamp_of(word)) & mask) * 16 / SECOND);
			return 1;
		}
	}
	/* The clock does not move, or a stamp is ahead of it by what it was bumped. */
	for (int i = 0; i < 1000; i++) {
		uint64_t before = word;

		word = umcg_word(word, RUNNING, now);
		if (word == before) {
			fprintf(stderr, "a word was repeated\n");
			return 1;
		}
	}
	return 0;
}

int main(void)
{
	static const double days[] = { 0.00001, 1, 6, 6.6, 7, 10, 13, 14, 20, 26.1, 100 };
	int failed = 0;

	for (size_t i = 0; i < sizeof(days) / sizeof(*days); i++)
		failed |= sleep_of((uint64_t)(days[i] * DAY));
	return failed;
}
