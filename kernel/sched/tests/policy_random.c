// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Every policy under a long random life: no thread is lost, none is chosen twice,
 * no server is left without one while some are ready; before() and slice() are
 * asked as hosts do; and the same life gives the same choices.
 */
#include <string.h>

#include "stage.h"

#define STEPS	200000
#define THREADS	40
#define SERVERS	3

static uint64_t seed;

static uint32_t chance(uint32_t below)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(seed >> 33) % below;
}

static char name_of(uint32_t index)
{
	return (char)('A' + index);
}

static void change(struct umcg_sched_thread *t, uint64_t us)
{
	t->priority = (int32_t)chance(4) - 1;
	t->tenant = (uint16_t)chance(3);
	t->weight = 1 + chance(4096);
	t->deadline_ns = chance(3) ? (us + chance(5000)) * 1000 : 0;
	t->expected_ns = chance(3) ? chance(3000000) : 0;
	if (!chance(3)) {
		t->request_ns = us * 1000;
		t->request_service_ns = 0;
		t->flags = 0;
	}
}

static void become_ready(uint32_t index, uint64_t us)
{
	struct umcg_sched_thread *t = stage_thread(name_of(index));
	enum umcg_why why = t->state == UMCG_SCHED_NONE ? UMCG_WHY_NEW : UMCG_WHY_WOKEN;

	if (t->state != UMCG_SCHED_NONE && t->state != UMCG_SCHED_BLOCKED)
		return;
	change(t, us);
	stage_ready((char[]){ name_of(index), '\0' }, why);
}

static void serve(const char *choice, uint32_t server, bool idles)
{
	struct umcg_sched *s = stage_sched();
	uint32_t ready = s->ready;
	char name;

	if (s->running[server])
		return;
	name = stage_next(server);	/* which checks that it was ready */
	CHECK(name != '-' || !ready || idles, "%s: %u are ready, and server %u gets none", choice, ready,
	      server);
	if (name != '-' && s->policy->slice)
		CHECK(s->policy->slice(s, stage_thread(name)) < 3600000000000ULL, "%s: slice", choice);
}

static void stop(uint32_t server)
{
	static const enum umcg_why whys[] = {
		UMCG_WHY_BLOCKED, UMCG_WHY_BLOCKED, UMCG_WHY_WAITING, UMCG_WHY_PREEMPTED,
		UMCG_WHY_EXPIRED, UMCG_WHY_YIELDED, UMCG_WHY_ENDED,
	};
	struct umcg_sched *s = stage_sched();
	struct umcg_sched_thread *t = s->running[server];
	enum umcg_why why = whys[chance(7)];
	char name;

	if (!t)
		return;
	name = name_of(t->id);
	stage_stop(name, why);
	/* The slot's next thread. */
	if (why == UMCG_WHY_ENDED)
		stage_renew(name);
}

static void ask_before(uint32_t a, uint32_t server)
{
	struct umcg_sched *s = stage_sched();
	struct umcg_sched_thread *one = stage_thread(name_of(a)), *other = s->running[server];

	if (!s->policy->before || one->state != UMCG_SCHED_READY || !other)
		return;
	CHECK(!s->policy->before(s, one, other) || !s->policy->before(s, other, one),
	      "%s: each of %u and %u goes before the other", s->policy->name, one->id, other->id);
}

/* A number that depends on every choice. */
static uint64_t live(const char *choice)
{
	struct umcg_sched *s = stage_sched();
	bool idles = strstr(choice, "steal=0");
	uint64_t us = 0, sum = 0;

	seed = 42;
	stage_open(choice, SERVERS);
	for (int step = 0; step < STEPS; step++) {
		uint32_t server = chance(SERVERS);

		us += chance(300);
		stage_time(us);
		switch (chance(4)) {
		case 0:
			become_ready(chance(THREADS), us);
			break;
		case 1:
			stop(server);
			break;
		case 2:
			ask_before(chance(THREADS), server);
			break;
		default:
			serve(choice, server, idles);
		}
		for (uint32_t i = 0; i < SERVERS; i++)
			sum = sum * 31 + (s->running[i] ? s->running[i]->id + 1 : 0);
	}
	/* All that are ready come out. */
	while (s->ready) {
		uint32_t ready = s->ready;

		for (uint32_t i = 0; i < SERVERS; i++) {
			if (s->running[i])
				stage_stop(name_of(s->running[i]->id), UMCG_WHY_BLOCKED);
			stage_next(i);
		}
		CHECK(s->ready < ready, "%s: %u threads do not come out:\n%s", choice, ready, stage_dump());
	}
	return sum;
}

int main(void)
{
	static const char *const more[] = {
		"rr:fresh=1", "priority:slice_us=100", "las:levels=4,boost_ms=3", "las:known=1,preempt=0",
		"las:wake=1,wait_ms=0", "las:long_percent=30", "edf:late=last", "edf:late=drop", "fair:tenant1=4096",
		"reserve:cpus0=1,cpus1=2", "reserve:refuse=3,cpus2=1", "steal:steal=0", NULL,
	};

	for (int i = 0; umcg_policies[i]; i++)
		CHECK(live(umcg_policies[i]->name) == live(umcg_policies[i]->name), "%s: not the same twice",
		      umcg_policies[i]->name);
	for (int i = 0; more[i]; i++)
		CHECK(live(more[i]) == live(more[i]), "%s: not the same twice", more[i]);
	return 0;
}
