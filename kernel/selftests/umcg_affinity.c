// SPDX-License-Identifier: MIT
/* Affinities change under tasks that switch to each other. */
#include "libraw.h"
#include "libbusy.h"

int main(int argc, char **argv)
{
	static struct busy busy;
	uint32_t seed = 1;
	long rounds;

	raw_start();
	need_cpus(2);
	rounds = raw_number(argc, argv, "ROUNDS", 1000);
	busy_start(&busy);
	for (int i = 0; i < rounds; i++) {
		pid_t tid = busy.tid[raw_random(&seed) % BUSY_TASKS];

		if (raw_random(&seed) % 4)
			pin(tid, raw_random(&seed) % cpus());
		else
			unpin(tid);
		if (i % 100 == 0)
			busy_progress(&busy);
	}
	/* All on one CPU, all on the other, a server here and workers there. */
	for (int mode = 0; mode < 3; mode++) {
		for (int k = 0; k < BUSY_TASKS; k++)
			pin(busy.tid[k], mode < 2 ? mode : k % 2);
		busy_progress(&busy);
	}
	busy_stop(&busy);
	return 0;
}
