// SPDX-License-Identifier: MIT
/* CPUs go offline and come back under all kinds of UMCG tasks. */
#include "libraw.h"
#include "libbusy.h"

#define ONLINE	"/sys/devices/system/cpu/cpu1/online"

int main(int argc, char **argv)
{
	static struct busy busy;
	long rounds;

	raw_start();
	need_cpus(2);
	rounds = raw_number(argc, argv, "ROUNDS", 5);
	if (access(ONLINE, W_OK))
		raw_skip("cannot take CPU 1 offline (%s: %s)", ONLINE, strerror(errno));
	busy_start(&busy);
	for (int i = 0; i < rounds; i++) {
		/* Some of them on the CPU that goes. */
		for (int k = 0; k < BUSY_TASKS; k++) {
			if ((i + k) % 2)
				pin(busy.tid[k], 1);
			else
				unpin(busy.tid[k]);
		}
		busy_progress(&busy);
		write_file(ONLINE, "0");
		busy_progress(&busy);
		write_file(ONLINE, "1");
		busy_progress(&busy);
	}
	busy_stop(&busy);
	return 0;
}
