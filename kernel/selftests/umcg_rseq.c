// SPDX-License-Identifier: MIT
/*
 * Restartable sequences across worker switches. libc has registered an area for
 * every thread; its cpu_id must be right whenever a worker runs, and a sequence
 * that was interrupted by a switch must be aborted: per-CPU counters that are
 * incremented by rseq alone have to come out exact.
 */
#include <sched.h>
#include <signal.h>
#include <sys/rseq.h>
#include <sys/syscall.h>

#include "libraw.h"

#define WORKERS	4
#define ADDS	20000
#define MAX_CPUS 256

static struct pool pool;
static struct server servers[2];
static struct worker w[WORKERS];
static bool stop;
static struct { long n; } __attribute__((aligned(64))) counter[MAX_CPUS];
static long aborts;

static struct rseq *area(void)
{
	return (struct rseq *)((char *)__builtin_thread_pointer() + __rseq_offset);
}

/*
 * counter[cpu].n += 1, if nothing came between. The loop in the middle makes
 * the sequence long enough to be interrupted often.
 */
static bool add(struct rseq *r, uint32_t cpu)
{
	__asm__ goto volatile(
		".pushsection __rseq_cs, \"aw\"\n\t"
		".balign 32\n\t"
		"3:\n\t"
		".long 0, 0\n\t"
		".quad 1f, 2f - 1f, 4f\n\t"
		".popsection\n\t"
		"leaq 3b(%%rip), %%rax\n\t"
		"movq %%rax, %[cs]\n\t"
		"1:\n\t"
		"cmpl %[cpu], %[cpu_id]\n\t"
		"jnz %l[aborted]\n\t"
		"movq %[n], %%rax\n\t"
		"movl $500, %%ecx\n\t"
		"5:\n\t"
		"decl %%ecx\n\t"
		"jnz 5b\n\t"
		"incq %%rax\n\t"
		"movq %%rax, %[n]\n\t"
		"2:\n\t"
		".pushsection __rseq_failure, \"ax\"\n\t"
		".byte 0x0f, 0xb9, 0x3d\n\t"
		".long %c[sig]\n\t"
		"4:\n\t"
		"jmp %l[aborted]\n\t"
		".popsection\n\t"
		:
		: [cs] "m"(r->rseq_cs), [cpu_id] "m"(r->cpu_id), [cpu] "r"(cpu),
		  [n] "m"(counter[cpu].n), [sig] "i"(RSEQ_SIG)
		: "rax", "rcx", "memory", "cc"
		: aborted);
	return true;
aborted:
	return false;
}

/* The kernel's word against the area's, unless we moved in between. */
static void check_cpu(struct rseq *r)
{
	for (int i = 0; i < 100; i++) {
		uint32_t before = *(volatile uint32_t *)&r->cpu_id;
		unsigned int cpu;

		syscall(SYS_getcpu, &cpu, NULL, NULL);
		if (before == cpu && cpu == *(volatile uint32_t *)&r->cpu_id)
			return;
	}
	FAIL("cpu_id of the rseq area is never right");
}

static void adds(struct worker *self)
{
	struct rseq *r = area();

	while (self->count < ADDS) {
		uint32_t cpu = *(volatile uint32_t *)&r->cpu_id_start;

		CHECK(cpu < MAX_CPUS);
		if (!add(r, cpu)) {
			__atomic_add_fetch(&aborts, 1, __ATOMIC_RELAXED);
			continue;
		}
		self->count++;
		if (self->count % 16 == 0)
			worker_yield(self);
		if (self->count % 100 == 0)
			check_cpu(r);
		if (self->count % 256 == 0)
			nap(1000);
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

		if (worker_mark(v)) {
			if (raw_random(&seed) % 2)
				sys_kick(0, v->tid);
			else
				syscall(SYS_tgkill, getpid(), v->tid, SIGUSR1);
		}
		if (raw_random(&seed) % 32 == 0)
			pin(v->tid, raw_random(&seed) % cpus());
		usleep(raw_random(&seed) % 50);
	}
	return NULL;
}

static void *serve(void *arg)
{
	server_register(arg, &pool);
	server_loop(arg);
	server_unregister(arg);
	return NULL;
}

int main(void)
{
	struct sigaction sa = { .sa_handler = on_usr1, .sa_flags = SA_RESTART };
	pthread_t t[3];
	long sum = 0;

	raw_start();
	if (!__rseq_size)
		raw_skip("this libc has not registered rseq");
	sigaction(SIGUSR1, &sa, NULL);
	for (int i = 0; i < WORKERS; i++) {
		worker_start(&w[i], &pool, adds, NULL);
		WAIT_FOR(w[i].tid);
	}
	for (int i = 0; i < 2; i++)
		t[i] = spawn(serve, &servers[i]);
	t[2] = spawn(watchdog, NULL);
	join(t[0]);
	join(t[1]);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	join(t[2]);
	for (int i = 0; i < WORKERS; i++)
		worker_join(&w[i]);
	for (int i = 0; i < MAX_CPUS; i++)
		sum += counter[i].n;
	printf("  %ld sequences aborted\n", aborts);
	CHECK_EQ(sum, WORKERS * ADDS);
	CHECK(aborts);
	return 0;
}
