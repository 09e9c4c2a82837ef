// SPDX-License-Identifier: MIT
/*
 * Places pass on between all kinds of transitions at once: workers that wake each other
 * over pipes on every CPU, yield, sleep, compute and are preempted; permissions that go,
 * ranks that change, signals of servers and workers. It ends only if
 * no wake-up is lost, after HOPS (first argument); and a worker in user mode has a place,
 * which it shares with no other. First without, then with ranks.
 */
#include <signal.h>
#include <sys/syscall.h>

#include "libplace.h"

#define TENANTS		12
#define TOKENS		5
#define MAX_SERVERS	4

static struct places places;
static struct seat seats[MAX_SERVERS];
static struct tenant tenants[TENANTS];
static int ends[TENANTS][2];
static long hops, most;
static bool over;

static void has_place(struct tenant *t)
{
	uint64_t word = __atomic_load_n(&t->rec.state_ts, __ATOMIC_SEQ_CST);
	uint32_t tenant = 0;

	if ((word & UMCG_TASK_STATE_MASK) != RUNNING)
		FAIL("%d is in user mode with word %#x", t->tid, state_of(&t->rec));
	for (int i = 0; i < places.servers; i++)
		if (seats[i].tid == (pid_t)t->rec.next_tid)
			tenant = __atomic_load_n(&seats[i].rec.tenant_tid, __ATOMIC_SEQ_CST);
	/* The same word: it has had the place all the time. */
	if (tenant != (uint32_t)t->tid &&
	    word == __atomic_load_n(&t->rec.state_ts, __ATOMIC_SEQ_CST))
		FAIL("%d is RUNNING in a place whose tenant is %u", t->tid, tenant);
}

/* Now and then for so long that it is preempted. */
static void compute(struct tenant *t, uint32_t *seed)
{
	unsigned int turns = raw_random(seed) % 2000;

	if (raw_random(seed) % 64 == 0)
		turns *= 50;
	for (; turns; turns--)
		has_place(t);
}

static void hand_on(struct tenant *t)
{
	uint32_t seed = t - tenants + 1;
	int me = t - tenants;
	char c;

	for (;;) {
		while (read(ends[me][0], &c, 1) != 1)
			CHECK_EQ(errno, EINTR);
		has_place(t);
		if (__atomic_load_n(&over, __ATOMIC_RELAXED))
			c = 1;
		compute(t, &seed);
		switch (raw_random(&seed) % 16) {
		case 0:
			tenant_yield(t, seats);
			has_place(t);
			break;
		case 1:
			nap(raw_random(&seed) % 100000);
			break;
		}
		__atomic_add_fetch(&hops, 1, __ATOMIC_RELAXED);
		CHECK_EQ(write(ends[(me + 1) % TENANTS][1], &c, 1), 1);
		/* The tokens that say so go once round. */
		if (c && ++t->count == TOKENS)
			return;
	}
}

/* Preempts workers, takes permissions away, sends signals to any task. */
static void *meddle(void *arg)
{
	struct tenant *t;
	uint32_t seed = 99;
	struct seat *s;
	uint64_t word;

	(void)arg;
	while (!__atomic_load_n(&over, __ATOMIC_RELAXED)) {
		usleep(200);
		t = &tenants[raw_random(&seed) % TENANTS];
		s = &seats[raw_random(&seed) % places.servers];
		switch (raw_random(&seed) % 5) {
		case 0:
		case 1:
			tenant_preempt(t);
			break;
		case 2:
			word = __atomic_load_n(&s->rec.state_ts, __ATOMIC_SEQ_CST);
			if ((word & (UMCG_TASK_STATE_MASK | FREE | ADOPT)) == LENDS)
				word_cas(&s->rec, word, IDLE);
			break;
		case 4:
			if (places.permission & RANK)
				__atomic_store_n(&t->rec.rank, 1 + raw_random(&seed) % 4,
						 __ATOMIC_SEQ_CST);
			break;
		case 3:
			syscall(SYS_tgkill, getpid(), raw_random(&seed) % 2 ? t->tid : s->tid,
				SIGUSR1);
			break;
		}
	}
	return NULL;
}

static void on_usr1(int sig)
{
	(void)sig;
}

static void race(void *permission)
{
	struct sigaction sa = { .sa_handler = on_usr1, .sa_flags = SA_RESTART };
	struct umcg_task me;
	pthread_t threads[MAX_SERVERS], meddler;
	unsigned long told = 0, passes = 0;
	char c = 0;

	sigaction(SIGUSR1, &sa, NULL);
	basic_register(&me);
	places.permission = *(uint32_t *)permission;
	places.servers = cpus() < MAX_SERVERS ? cpus() : MAX_SERVERS;
	for (int i = 0; i < places.servers; i++) {
		threads[i] = seat_start(&seats[i], &places, i, i % cpus());
		WAIT_FOR(__atomic_load_n(&places.slots[i], __ATOMIC_SEQ_CST));
	}
	for (int i = 0; i < TENANTS; i++) {
		CHECK_EQ(pipe(ends[i]), 0);
		tenants[i].cpu = -1;
		tenants[i].rank = places.permission & RANK ? 1 + i % 4 : 0;
	}
	for (int i = 0; i < TENANTS; i++)
		tenant_start(&tenants[i], &places, hand_on);
	for (int i = 0; i < TOKENS; i++)
		CHECK_EQ(write(ends[i * TENANTS / TOKENS][1], &c, 1), 1);
	meddler = spawn(meddle, NULL);
	WAIT_FOR(__atomic_load_n(&hops, __ATOMIC_RELAXED) >= most);
	__atomic_store_n(&over, true, __ATOMIC_RELAXED);
	for (int i = 0; i < TENANTS; i++)
		join(tenants[i].thread);
	join(meddler);
	for (int i = 0; i < places.servers; i++) {
		passes += seats[i].rec.passes;
		told += seats[i].told;
	}
	places_stop(&places, seats, &me);
	for (int i = 0; i < places.servers; i++)
		join(threads[i]);
	printf("    %ld hops, servers told %lu times, not told %lu times\n", hops, told, passes);
	fflush(stdout);
	CHECK(passes);
}

int main(int argc, char **argv)
{
	uint32_t permissions[] = { ADOPT, ADOPT | RANK };

	raw_start();
	most = raw_number(argc, argv, "HOPS", 20000);
	raw_note("without ranks");
	check_exits(race, &permissions[0], 0, "without ranks");
	raw_note("with ranks");
	check_exits(race, &permissions[1], 0, "with ranks");
	return 0;
}
