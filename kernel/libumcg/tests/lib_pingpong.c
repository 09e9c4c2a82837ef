// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Ping-pong: two tasks take turns, by umcg_swap() and by umcg_wake() and
 * umcg_wait(); basic tasks, servers, workers under one and two servers. A count
 * shared without any other protection must come out right.
 */
#include "util.h"

static long rounds;
static long count;		/* the task whose turn it is owns it */
static atomic_intptr_t player[2];
static bool by_swap;
static umcg_t group;

static void take_turns(int me)
{
	umcg_tid other;

	while (!(other = player[!me]))
		test_nap(MS / 10);
	if (me)
		CHECK_CALL(umcg_wait(0), 0);
	for (long i = 0; i < rounds; i++) {
		CHECK(count % 2 == me, "round %ld: it is not our turn", i);
		count++;
		if (me && i == rounds - 1) {
			CHECK_CALL(umcg_wake(other, true), 0);
		} else if (by_swap) {
			CHECK_CALL(umcg_swap(other, 0), 0);
		} else {
			CHECK_CALL(umcg_wake(other, true), 0);
			CHECK_CALL(umcg_wait(0), 0);
		}
	}
}

static void *basic(void *arg)
{
	int me = (int)(intptr_t)arg;

	player[me] = test_task(umcg_register_basic_task(me));
	take_turns(me);
	CHECK_CALL(umcg_unregister_task(), 0);
	return NULL;
}

static void *server(void *arg)
{
	int me = (int)(intptr_t)arg;

	player[me] = test_task(umcg_register_server(group, me));
	take_turns(me);
	CHECK_CALL(umcg_unregister_task(), 0);
	return NULL;
}

static void *worker(void *arg)
{
	int me = (int)(intptr_t)arg;

	player[me] = test_task(umcg_register_worker(group, me));
	take_turns(me);
	CHECK_CALL(umcg_unregister_task(), 0);
	return NULL;
}

static void play(const char *name, void *(*run)(void *arg), struct place *p, int servers)
{
	pthread_t thread[2], serving[2];

	count = 0;
	player[0] = player[1] = UMCG_NONE;
	for (intptr_t i = 0; i < 2; i++)
		thread[i] = test_spawn(run, (void *)i);
	for (int i = 0; i < servers; i++)
		serving[i] = place_server(p);
	for (int i = 0; i < 2; i++)
		test_join(thread[i]);
	for (int i = 0; i < servers; i++)
		test_join(serving[i]);
	CHECK(count == 2 * rounds, "%s: %ld turns", name, count);
	printf("%s by %s: ok\n", name, by_swap ? "swap" : "wake and wait");
}

int main(int argc, char **argv)
{
	struct place p;

	test_begin(argc, argv);
	rounds = test_size("ROUNDS", 1, 2000);
	for (int i = 0; i < 2; i++) {
		by_swap = i;
		play("basic tasks", basic, NULL, 0);

		place_begin(&p, 0, 0);
		group = p.group;
		play("servers", server, NULL, 0);
		place_end(&p);

		for (int servers = 1; servers <= 2; servers++) {
			place_begin(&p, 0, 2);
			group = p.group;
			play(servers == 1 ? "workers, one server" : "workers, two servers",
			     worker, &p, servers);
			place_end(&p);
		}
	}
	return 0;
}
