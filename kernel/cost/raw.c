// SPDX-License-Identifier: MIT
/* The rows of the program "raw": the kernel's own primitives, and UMCG without a library. */
#include "raw.h"

const struct row rows[] = {
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
const size_t row_count = sizeof(rows) / sizeof(rows[0]);
