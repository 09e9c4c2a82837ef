// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#include "guests.h"

umcg_t guests_group;
atomic_intptr_t guests_server;
atomic_int guests_servers;
atomic_bool guests_stop;
pthread_t guests_serving;

void guests_serve(void *(*serve)(void *arg))
{
	guests_servers = 0;
	guests_serving = test_spawn(serve, NULL);
	test_await(&guests_servers, 1);
}

void guests_begin(uint32_t flags, void *(*serve)(void *arg))
{
	guests_group = umcg_create_group(UMCG_GROUP_PASS_ON | flags);
	CHECK(guests_group, "umcg_create_group");
	guests_stop = false;
	test_pin();
	CHECK(umcg_register_basic_task(0), "register");
	guests_serve(serve);
}

void guests_enlist(void)
{
	test_pin();
	guests_server = test_task(umcg_register_server(guests_group, 0));
	guests_servers++;
}

void guests_end(void)
{
	guests_stop = true;
	CHECK_CALL(umcg_wake(guests_server, false), 0);
	test_join(guests_serving);
	CHECK_CALL(umcg_unregister_task(), 0);
	CHECK_CALL(umcg_destroy_group(guests_group), 0);
}

static void *body(void *arg)
{
	struct guest *g = arg;

	test_pin();
	g->utid = test_task(umcg_register_worker(guests_group, (intptr_t)g));
	g->run(g);
	CHECK_CALL(umcg_unregister_task(), 0);
	return NULL;
}

void guest_spawn(struct guest *g, void (*run)(struct guest *g))
{
	g->run = run;
	g->count = 0;
	g->utid = UMCG_NONE;
	CHECK(!pipe(g->pipe), "pipe");
	g->thread = test_spawn(body, g);
}

void guest_tell(struct guest *g)
{
	CHECK(write(g->pipe[1], "", 1) == 1, "write");
}

void guest_hear(struct guest *g)
{
	char byte;

	CHECK(read(g->pipe[0], &byte, 1) == 1, "read");
	g->count++;
}

void guest_join(struct guest *g)
{
	test_join(g->thread);
	close(g->pipe[0]);
	close(g->pipe[1]);
}
