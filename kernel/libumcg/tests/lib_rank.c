// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Ranks: a worker of better rank has the place of one that computes, without the server,
 * and one that is not better waits until that blocks. One CPU, one server.
 */
#include "util.h"

static umcg_t group;
static atomic_intptr_t server, hog, urgent;
static atomic_int registered;
static atomic_long told, turns, came;
static atomic_bool stop, go;
static int ends[2];

static void *serve(void *arg)
{
	umcg_tid w;

	(void)arg;
	test_pin();
	server = test_task(umcg_register_server(group, 0));
	registered++;
	while (!stop) {
		w = umcg_get_idle_worker(true);
		if (w) {
			w = umcg_run_worker(w);
			CHECK(w || !errno, "umcg_run_worker");
			told++;
		} else {
			CHECK(errno == EINTR, "umcg_get_idle_worker");
		}
	}
	CHECK_CALL(umcg_unregister_task(), 0);
	return NULL;
}

static void *computes(void *arg)
{
	(void)arg;
	test_pin();
	hog = test_task(umcg_register_worker(group, 0));
	while (!go)
		turns++;
	CHECK_CALL(umcg_unregister_task(), 0);
	return NULL;
}

/* Until it is told a zero. */
static void *hears(void *arg)
{
	char byte = 1;

	(void)arg;
	test_pin();
	urgent = test_task(umcg_register_worker(group, 0));
	while (byte) {
		CHECK(read(ends[0], &byte, 1) == 1, "read");
		came++;
	}
	CHECK_CALL(umcg_unregister_task(), 0);
	return NULL;
}

static void tell(char byte)
{
	CHECK(write(ends[1], &byte, 1) == 1, "write");
}

static bool has_blocked(umcg_tid worker)
{
	return (umcg_get_task_state(worker) & 0x3f) == 3;
}

static bool is_ready(umcg_tid worker)
{
	return (umcg_get_task_state(worker) & 0x3f) == 2;
}

static void goes_on(void)
{
	long before = turns;

	AWAIT(turns > before);
}

static void errors(void)
{
	CHECK_CALL(umcg_set_rank(UMCG_NONE, 1), ESRCH);
	CHECK_CALL(umcg_set_rank(server, 1), EINVAL);
	CHECK_CALL(umcg_set_rank(umcg_get_utid(), 1), EINVAL);
	CHECK_CALL(umcg_set_rank(urgent, 0), EINVAL);
	CHECK(!umcg_get_rank(server) && errno == EINVAL, "a server has no rank");
	CHECK(!umcg_get_rank(UMCG_NONE) && errno == ESRCH, "there is none");
}

static void ranks(void)
{
	pthread_t serving, computing, hearing;
	uint32_t passes;
	long before;

	group = umcg_create_group(UMCG_GROUP_RANKS);
	CHECK(group, "umcg_create_group");
	CHECK(!pipe(ends), "pipe");
	test_pin();
	CHECK(umcg_register_basic_task(0), "register");
	serving = test_spawn(serve, NULL);
	test_await(&registered, 1);
	hearing = test_spawn(hears, NULL);
	AWAIT(urgent && has_blocked(urgent));
	computing = test_spawn(computes, NULL);
	goes_on();
	CHECK(umcg_get_rank(urgent) == UMCG_RANK_NORMAL, "a rank that nobody has set");
	errors();

	/* Of the same rank, and of a worse one: it waits. */
	CHECK_CALL(umcg_set_rank(urgent, UMCG_RANK_NORMAL + 1), 0);
	before = told;
	tell(1);
	AWAIT(is_ready(urgent));
	goes_on();
	CHECK(came == 0, "it has taken a place of better rank");
	CHECK_CALL(umcg_set_rank(hog, UMCG_RANK_NORMAL + 2), 0);
	CHECK(umcg_get_rank(hog) == UMCG_RANK_NORMAL + 2, "set");
	/* The server chooses between those that are ready: it is told of what blocks. */
	go = true;
	AWAIT(came == 1 && told > before);
	test_join(computing);

	go = false;
	hog = UMCG_NONE;
	AWAIT(has_blocked(urgent));
	computing = test_spawn(computes, NULL);
	goes_on();
	CHECK_CALL(umcg_set_rank(urgent, 1), 0);
	for (int i = 2; i < 10; i++) {
		AWAIT(umcg_get_tenant(server) == hog);
		passes = umcg_get_passes(server);
		before = turns;
		tell(1);
		AWAIT(came == i);
		CHECK(umcg_get_passes(server) >= passes + 2, "its place was not taken");
		goes_on();
	}
	go = true;
	test_join(computing);
	tell(0);
	test_join(hearing);
	stop = true;
	CHECK_CALL(umcg_wake(server, false), 0);
	test_join(serving);
	CHECK_CALL(umcg_unregister_task(), 0);
	CHECK_CALL(umcg_destroy_group(group), 0);
}

/* A group whose workers have none. */
static void none(void)
{
	group = umcg_create_group(UMCG_GROUP_PASS_ON);
	CHECK(group, "umcg_create_group");
	CHECK(umcg_register_basic_task(0), "register");
	CHECK_CALL(umcg_set_rank(umcg_get_utid(), 1), EINVAL);
	CHECK_CALL(umcg_unregister_task(), 0);
	CHECK_CALL(umcg_destroy_group(group), 0);
}

int main(int argc, char **argv)
{
	test_begin(argc, argv);
	ranks();
	none();
	return 0;
}
