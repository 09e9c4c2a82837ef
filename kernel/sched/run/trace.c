// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* --trace: what the program's schedulers decide, as text, an event a line. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "umcg-run.h"

static FILE *out;

static const char *const kinds[] = { "ready", "run", "stop", "kick", "sleep", "wake", "fault", "pass" };
static const char *const whys[] = {
	"new", "woken", "preempted", "expired", "yielded", "blocked", "waiting", "ended",
};
#define NAME(names, i)	((i) < sizeof(names) / sizeof(*(names)) ? (names)[i] : "?")

void trace_open(const char *path)
{
	out = fopen(path, "we");
	if (!out)
		die(EXIT_WRONG_USE, "%s: %s", path, strerror(errno));
	fputs("#umcg-run trace 1; t and arg in ns, t of CLOCK_MONOTONIC\n"
	      "t\tpid\ttid\tkind\twhy\tserver\targ\n", out);
}

static void write_event(const struct run_event *e, int pid)
{
	bool why = e->kind == UMCG_SCHED_EVENT_READY || e->kind == UMCG_SCHED_EVENT_STOP ||
		   e->kind == UMCG_SCHED_EVENT_KICK;

	fprintf(out, "%llu\t%d\t%d\t%s\t%s\t%d\t%llu\n", (unsigned long long)e->time_ns, pid, (int)e->tid,
		e->kind == RUN_EVENT_REQUEST ? "request" : NAME(kinds, e->kind), why ? NAME(whys, e->why) : "-",
		(int)e->server, (unsigned long long)e->arg);
}

/* At the @end what was never finished is passed over. */
static void drain(struct run_ring *ring, int pid, bool end)
{
	uint64_t got = atomic_load_explicit(&ring->got, memory_order_relaxed);
	uint64_t put = atomic_load_explicit(&ring->put, memory_order_acquire);

	for (; got < put; got++) {
		const struct run_event *e = &ring->event[got % RUN_RING];

		if (atomic_load_explicit(&e->written, memory_order_acquire) == got + 1)
			write_event(e, pid);
		else if (!end)
			break;
	}
	atomic_store_explicit(&ring->got, got, memory_order_release);
}

static uint32_t traced(const struct run_shared *shared)
{
	return shared->processes < RUN_RINGS ? shared->processes : RUN_RINGS;
}

void trace_take(struct run_shared *shared)
{
	for (uint32_t i = 0; i < traced(shared); i++)
		drain(&shared->ring[i], shared->process[i].pid, false);
}

/* A name may be anything, and its end is the line's. */
static void write_thread(const struct run_record *r, int pid)
{
	fprintf(out, "#thread\t%d\t%d\t%u\t%s\t", pid, (int)r->tid, r->attr.klass, r->entry);
	for (const char *c = r->name; *c; c++)
		fputc((unsigned char)*c < ' ' ? '?' : *c, out);
	fputc('\n', out);
}

/* The threads' names, and what is missing. */
int trace_close(struct run_shared *shared)
{
	uint32_t records = shared->records < RUN_THREADS ? shared->records : RUN_THREADS;

	for (uint32_t i = 0; i < traced(shared); i++) {
		drain(&shared->ring[i], shared->process[i].pid, true);
		fprintf(out, "#process\t%d\t%s\t%llu lost\n", (int)shared->process[i].pid, shared->process[i].name,
			(unsigned long long)shared->ring[i].lost);
	}
	for (uint32_t i = 0; i < records; i++) {
		const struct run_record *r = &shared->record[i];

		if (r->state != RUN_FREE && r->tid && r->process < traced(shared))
			write_thread(r, shared->process[r->process].pid);
	}
	if (shared->processes > RUN_RINGS)
		fprintf(stderr, "umcg-run: %u processes are not in the trace: there is room for %u\n",
			shared->processes - RUN_RINGS, RUN_RINGS);
	if (!fflush(out) && !ferror(out) && !fclose(out))
		return 0;
	fprintf(stderr, "umcg-run: the trace: %s\n", strerror(errno));
	return -1;
}
