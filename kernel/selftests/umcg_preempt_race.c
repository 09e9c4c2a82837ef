// SPDX-License-Identifier: MIT
/*
 * Preemption against everything a worker does by itself: block, yield, swap
 * and exit. Whatever comes first, each run ends once and no step is lost.
 */
#include <signal.h>
#include <sys/syscall.h>

#include "libraw.h"

#define WORKERS	4
#define STEPS	300

static struct pool pool;
static struct server s;
static struct worker w[WORKERS];
static bool stop;
static volatile long kicks, misses, marks;

static void steps(struct worker *self)
{
	uint32_t seed = self->tid;

	while (self->count < STEPS) {
		switch (raw_random(&seed) % 4) {
		case 0:
			nap(raw_random(&seed) % 20000);
			break;
		case 1:
			worker_yield(self);
			break;
		default:
			for (volatile int i = raw_random(&seed) % 20000; i; i--)
				;
		}
		self->count++;
	}
}

static void on_usr1(int sig)
{
	(void)sig;
}

static void *watchdog(void *arg)
{
	uint32_t seed = 1;

	(void)arg;
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		struct worker *v = &w[raw_random(&seed) % WORKERS];

		if (!worker_mark(v)) {
			usleep(raw_random(&seed) % 20);
			continue;
		}
		marks++;
		if (raw_random(&seed) % 4 == 0) {
			syscall(SYS_tgkill, getpid(), v->tid, SIGUSR1);
		} else {
			int r = sys_kick(0, v->tid);

			if (r == 0)
				kicks++;
			else
				misses++;
			/* ESRCH: it has ended. */
			CHECK(r == 0 || r == -EAGAIN || r == -ESRCH);
		}
	}
	return NULL;
}

int main(void)
{
	struct sigaction sa = { .sa_handler = on_usr1, .sa_flags = SA_RESTART };
	pthread_t dog;

	raw_start();
	sigaction(SIGUSR1, &sa, NULL);
	server_register(&s, &pool);
	for (int i = 0; i < WORKERS; i++)
		worker_start(&w[i], &pool, steps, NULL);
	dog = spawn(watchdog, NULL);
	server_loop(&s);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	join(dog);
	for (int i = 0; i < WORKERS; i++) {
		CHECK_EQ(w[i].count, STEPS);
		worker_join(&w[i]);
	}
	printf("  %lu preempted, %lu blocked, %lu yielded; %ld marks, %ld kicks, %ld too late\n",
	       s.preempts, s.blocks, s.yields, marks, kicks, misses);
	CHECK_EQ(s.ends, WORKERS);
	CHECK(s.preempts && s.blocks && s.yields);
	server_unregister(&s);
	return 0;
}
