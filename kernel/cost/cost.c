// SPDX-License-Identifier: MIT
/*
 * Prints "cost NAME N": instructions of one round trip (two switches) or one
 * call. Meant for a guest with one CPU under QEMU's -icount, where the time
 * stamp counter counts instructions.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <x86intrin.h>

#include <linux/umcg.h>

#include "cost.h"

#define WARM_UP	1000
#define ROUNDS	10000

static const struct row *current;
static unsigned long long start, paused;

void lap(void)
{
	static int laps;

	if (laps == WARM_UP)
		start = __rdtsc();
	if (laps == WARM_UP + ROUNDS) {
		printf("cost %s %.1f\n", current->name,
		       (double)(__rdtsc() - start) / ROUNDS);
		fflush(stdout);
		_exit(0);
	}
	laps++;
}

void pause_laps(void)
{
	paused = __rdtsc();
}

/* While it warms up this moves a start that is not yet set. */
void resume_laps(void)
{
	start += __rdtsc() - paused;
}

int main(void)
{
	bool umcg = syscall(__NR_umcg_ctl, UMCG_CTL_VERSION, NULL) == UMCG_ABI_VERSION;
	int failed = 0;

	pin(0);
	for (size_t i = 0; i < row_count; i++) {
		int status;
		pid_t pid;

		current = &rows[i];
		if (current->umcg && !umcg)
			continue;
		pid = fork();
		if (pid < 0)
			die("fork");
		if (pid == 0) {
			current->run();
			die("a row returned");
		}
		if (waitpid(pid, &status, 0) != pid || status) {
			fprintf(stderr, "%s: wait status 0x%x\n", current->name, status);
			failed = 1;
		}
	}
	return failed;
}
