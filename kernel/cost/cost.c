// SPDX-License-Identifier: MIT
/*
 * Prints "cost NAME N": instructions of one round trip (two switches) or one
 * call. Meant for a guest with one CPU under QEMU's -icount, where the time
 * stamp counter counts instructions. Without UMCG in the kernel only the rows
 * that do without are printed.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <x86intrin.h>

#include "cost.h"

#define WARM_UP	1000
#define ROUNDS	10000

static const struct row {
	const char *name;
	void (*run)(void);
	bool umcg;
} rows[] = {
	{ "getppid", row_getppid, false },
	{ "fault", row_fault, false },
	{ "yield", row_yield, false },
	{ "umcg-swap", row_swap, true },
	{ "umcg-wake-wait", row_wake_wait, true },
	{ "umcg-run-yield", row_run_yield, true },
	{ "futex", row_futex, false },
	{ "umcg-worker-swap", row_worker_swap, true },
	{ "condvar", row_condvar, false },
	{ "pipe", row_pipe, false },
	{ "eventfd", row_eventfd, false },
	{ "umcg-worker-pipe", row_worker_pipe, true },
};

static const struct row *current;

void lap(void)
{
	static uint64_t start;
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

int main(void)
{
	bool umcg = umcg_ctl(UMCG_CTL_VERSION, NULL) == UMCG_ABI_VERSION;
	int failed = 0;

	pin(0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
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
