// SPDX-License-Identifier: MIT
/*
 * A place that is taken by rank while a record's page cannot be written (userfaultfd):
 * nothing has happened then, or the server has its place back; in no case is there a
 * worker that waits for the page while it has a place.
 */
#include <stddef.h>

#include "libfault.h"
#include "libplace.h"

enum whose { SERVERS, TENANTS, TAKERS };

static struct places places;
static struct slow_page slow;
static struct seat *s;
static struct tenant *hog, *urgent;
static struct umcg_task me;
static int fds[2];
static volatile bool go;
static volatile long turns;	/* of the tenant, whose record's page may be the one */

static void reads(struct tenant *t)
{
	char c;

	for (;;) {
		CHECK_EQ(read(fds[0], &c, 1), 1);
		CHECK_STATE(&t->rec, RUNNING);
		t->count++;
	}
}

static void computes(struct tenant *t)
{
	while (!go)
		turns++;
	(void)t;
	pause();
}

static void goes_on(void)
{
	long before = turns;

	WAIT_FOR(turns > before);
}

/* The tenant computes, the taker sleeps, and the page of one record is protected. */
static void begin(enum whose whose)
{
	static struct seat seat;
	static struct tenant tenants[2];
	void *slow_one;

	basic_register(&me);
	slow_written_page(&slow);
	slow_one = slow.page + 4096;
	s = whose == SERVERS ? slow_one : &seat;
	hog = whose == TENANTS ? slow_one : &tenants[0];
	urgent = whose == TAKERS ? slow_one : &tenants[1];
	places.servers = 1;
	places.permission = ADOPT | RANK;
	CHECK_EQ(pipe(fds), 0);
	seat_start(s, &places, 0, 0);
	WAIT_FOR(state_of(&s->rec) == (OFFERS | RANK));
	hog->rank = 2;
	urgent->rank = 1;
	tenant_start(urgent, &places, reads);
	WAIT_FOR(tenant_blocked(urgent));
	WAIT_FOR(state_of(&s->rec) == (OFFERS | RANK));
	tenant_start(hog, &places, computes);
	goes_on();
	slow_page_protect(&slow);
	CHECK_EQ(write(fds[1], "x", 1), 1);
}

static void serve_page(void)
{
	slow_page_open(&slow);
	slow_page_resume(&slow);
}

/* It goes on the list, and the tenant goes on. */
static void nothing_happens(enum whose whose)
{
	begin(whose);
	WAIT_FOR(state_of(&urgent->rec) == IDLE && asleep(urgent->tid));
	CHECK_EQ(s->rec.tenant_tid, hog->tid);
	CHECK_STATE(&s->rec, LENDS | RANK);
	CHECK_EQ(urgent->count, 0);
	slow_page_open(&slow);
	CHECK_STATE(&hog->rec, RUNNING);
	goes_on();
	go = true;
	WAIT_FOR(urgent->count == 1);
	exit(0);
}

static void servers_page(void *arg)
{
	(void)arg;
	nothing_happens(SERVERS);
}

static void tenants_page(void *arg)
{
	(void)arg;
	nothing_happens(TENANTS);
}

/* The tenant has lost its place, and the taker cannot have it: it is the server's. */
static void takers_page(void *arg)
{
	(void)arg;
	begin(TAKERS);
	slow_page_wait(&slow);
	WAIT_FOR(s->told);
	goes_on();
	CHECK_EQ(urgent->count, 0);
	serve_page();
	go = true;
	WAIT_FOR(urgent->count == 1);
	exit(0);
}

int main(void)
{
	raw_start();
	raw_note("the server's");
	check_exits(servers_page, NULL, 0, "servers_page");
	raw_note("the tenant's");
	check_exits(tenants_page, NULL, 0, "tenants_page");
	raw_note("the taker's");
	check_exits(takers_page, NULL, 0, "takers_page");
	return 0;
}
