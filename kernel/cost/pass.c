// SPDX-License-Identifier: MIT
/*
 * The rows of the program "pass": what workers cost that block, storm and compute, as
 * plain threads, with servers that are told of everything, with servers whose place
 * passes on, and with ranks. One CPU.
 */
#include <unistd.h>

#include "beside.h"
#include "raw.h"
#include "scenes.h"
#include "task.h"

static bool with_server;
static struct task server_task, crew[CROWD];

void scene_begin(enum kind kind)
{
	with_server = kind != THREADS;
	permission = kind == PASS ? UMCG_TF_ADOPT :
		     kind == RANK ? UMCG_TF_ADOPT | UMCG_TF_RANK : 0;
	if (with_server)
		be_server(&server_task);
}

/* The first one is the least urgent. */
void scene_join(int me)
{
	if (permission & UMCG_TF_RANK)
		crew[me].record.rank = me ? 1 : 2;
	if (with_server)
		be_worker(&crew[me]);
}

struct task *scene_worker(int me)
{
	return &crew[me];
}

struct task *scene_server(void)
{
	return &server_task;
}

void scene_serve(void)
{
	for (;;) {
		if (with_server)
			run_worker(&server_task, next_worker(&server_task));
		else
			pause();
	}
}

/* --- two workers over a pipe --- */

static void pipe_pass(void)
{
	permission = UMCG_TF_ADOPT;
	row_worker_pipe();
}

/* --- workers that block, and storms --- */

static void sleep_threads(void) { sleep_block("sleep-threads", THREADS); }
static void sleep_umcg(void) { sleep_block("sleep-umcg", UMCG); }
static void sleep_pass(void) { sleep_block("sleep-pass", PASS); }
static void device_threads(void) { device_block("device-threads", THREADS); }
static void device_umcg(void) { device_block("device-umcg", UMCG); }
static void device_pass(void) { device_block("device-pass", PASS); }
static void busy_threads(void) { busy_block("busy-threads", THREADS); }
static void busy_umcg(void) { busy_block("busy-umcg", UMCG); }
static void busy_pass(void) { busy_block("busy-pass", PASS); }
static void full_threads(void) { full_block("full-threads", THREADS); }
static void full_umcg(void) { full_block("full-umcg", UMCG); }
static void full_pass(void) { full_block("full-pass", PASS); }
static void storm_threads(void) { storm("storm-threads", THREADS); }
static void storm_umcg(void) { storm("storm-umcg", UMCG); }
static void storm_pass(void) { storm("storm-pass", PASS); }

/* --- beside one that computes --- */

static void beside_threads(void) { beside("beside-threads", THREADS); }
static void beside_umcg(void) { beside("beside-umcg", UMCG); }
static void beside_rank(void) { beside("beside-rank", RANK); }
static void urgent_threads(void) { urgent("urgent-threads", THREADS); }
static void urgent_umcg(void) { urgent("urgent-umcg", UMCG); }
static void urgent_rank(void) { urgent("urgent-rank", RANK); }
static void late_threads(void) { late("late-threads", THREADS); }
static void late_umcg(void) { late("late-umcg", UMCG); }
static void late_rank(void) { late("late-rank", RANK); }

const struct row rows[] = {
	{ "pipe", row_pipe, false },
	{ "umcg-worker-pipe", row_worker_pipe, true },
	{ "pipe-pass", pipe_pass, true },
	{ "sleep-threads", sleep_threads, false },
	{ "sleep-umcg", sleep_umcg, true },
	{ "sleep-pass", sleep_pass, true },
	{ "device-threads", device_threads, false },
	{ "device-umcg", device_umcg, true },
	{ "device-pass", device_pass, true },
	{ "busy-threads", busy_threads, false },
	{ "busy-umcg", busy_umcg, true },
	{ "busy-pass", busy_pass, true },
	{ "full-threads", full_threads, false },
	{ "full-umcg", full_umcg, true },
	{ "full-pass", full_pass, true },
	{ "storm-threads", storm_threads, false },
	{ "storm-umcg", storm_umcg, true },
	{ "storm-pass", storm_pass, true },
	{ "beside-threads", beside_threads, false },
	{ "beside-umcg", beside_umcg, true },
	{ "beside-rank", beside_rank, true },
	{ "urgent-threads", urgent_threads, false },
	{ "urgent-umcg", urgent_umcg, true },
	{ "urgent-rank", urgent_rank, true },
	{ "late-threads", late_threads, false },
	{ "late-umcg", late_umcg, true },
	{ "late-rank", late_rank, true },
};
const size_t row_count = sizeof(rows) / sizeof(rows[0]);
