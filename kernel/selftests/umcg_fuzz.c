// SPDX-License-Identifier: MIT
/*
 * Random and near-valid calls of the three system calls, by several threads of
 * several processes over shared records, for SECONDS (first argument; seed:
 * second). The children may die of SIGSEGV or hang in a wait of their own
 * making; they must always be killable, and a group in the parent that keeps
 * the contract must never notice.
 */
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "libraw.h"

#define RECORDS		32
#define THREADS		4		/* at first */
#define MAX_THREADS	64
#define CHILDREN	2
#define LIFE_MS		250

/* A page that the children share, and a page of each child's own. */
struct arena {
	struct umcg_task rec[RECORDS];
	uint64_t	head[2];
	uint32_t	slot[2];
	uint32_t	tid[CHILDREN * THREADS];
	unsigned long	done[5];	/* of the enum below */
};

static struct arena *shared, *own;

enum { CALLS, SERVERS, RUNS, WORKERS, STEPS };
static const char * const done_names[] = {
	"rounds of calls", "servers", "runs", "workers run", "worker steps",
};

static void done(int what)
{
	__atomic_add_fetch(&shared->done[what], 1, __ATOMIC_RELAXED);
}

static char *hole;
static int fds[2];
static unsigned int child_nr;

static struct arena *any_arena(uint32_t *seed)
{
	return raw_random(seed) % 4 ? own : shared;
}

static struct umcg_task *any_record(uint32_t *seed)
{
	static const uint64_t odd[] = {
		0, 1, 64, 0xffff888000000000, 0xffffffff81000000, 0x8000000000000000,
		0x7fffffffffc0, ~0ULL,
	};
	struct umcg_task *r = &any_arena(seed)->rec[raw_random(seed) % RECORDS];

	switch (raw_random(seed) % 32) {
	case 0:
		return (struct umcg_task *)odd[raw_random(seed) % 8];
	case 1:
		return (struct umcg_task *)((char *)r + raw_random(seed) % 64);
	case 2:
		return (struct umcg_task *)hole;
	default:
		return r;
	}
}

static bool in_arena(struct umcg_task *r)
{
	uint64_t p = (uint64_t)r;

	return (p - (uint64_t)own < sizeof(own->rec) || p - (uint64_t)shared < sizeof(own->rec)) &&
	       p % 64 == 0;
}

static uint32_t any_state(uint32_t *seed)
{
	static const uint32_t likely[] = {
		NONE, RUNNING, IDLE, BLOCKED, RUNNING | LOCKED, IDLE | LOCKED,
		RUNNING | PREEMPTED, BLOCKED | PREEMPTED,
	};

	if (raw_random(seed) % 16 == 0)
		return raw_random(seed) & UMCG_TASK_STATE_MASK_FULL;
	return likely[raw_random(seed) % 8];
}

static uint32_t any_tid(uint32_t *seed)
{
	if (raw_random(seed) % 16 == 0)
		return raw_random(seed) % 4 ? (int)(raw_random(seed) % 300) : -1;
	return shared->tid[raw_random(seed) % (CHILDREN * THREADS)];
}

static uint64_t any_pointer(uint32_t *seed, bool list)
{
	struct arena *a = any_arena(seed);

	if (raw_random(seed) % 16 == 0)
		return (uint64_t)any_record(seed);
	return list ? (uint64_t)&a->head[raw_random(seed) % 2] :
		      (uint64_t)&a->slot[raw_random(seed) % 2];
}

static uint64_t any_timeout(uint32_t *seed, uint32_t flags)
{
	clockid_t clock = flags & MONOTONIC ? CLOCK_MONOTONIC : CLOCK_REALTIME;

	switch (raw_random(seed) % 16) {
	case 0:
		return 0;
	case 1:
		return (uint64_t)raw_random(seed) << 40;
	default:
		return now_ns(clock) + raw_random(seed) % 500000;
	}
}

static void call_wait(uint32_t *seed)
{
	uint32_t flags = raw_random(seed) % 2 ? MONOTONIC : raw_random(seed) % 8;

	if (raw_random(seed) % 64 == 0)
		flags = raw_random(seed) << 8;
	sys_wait(flags, flags & WAKE_ONLY && raw_random(seed) % 4 ? 0 : any_timeout(seed, flags));
}

static void call_ctl(uint32_t *seed)
{
	static const uint32_t likely[] = {
		REGISTER, REGISTER, REGISTER | WORKER, REGISTER | WORKER, UNREGISTER,
		UNREGISTER, UMCG_CTL_VERSION, WORKER,
	};
	uint32_t flags = likely[raw_random(seed) % 8];
	struct umcg_task *r = any_record(seed);

	if (raw_random(seed) % 64 == 0)
		flags = raw_random(seed);
	if (flags & REGISTER && in_arena(r) && raw_random(seed) % 8) {
		rec_init(r, flags & WORKER ? BLOCKED : RUNNING);
		r->idle_workers_ptr = any_pointer(seed, true);
		r->idle_server_tid_ptr = any_pointer(seed, false);
	}
	sys_ctl(flags, flags & UNREGISTER && raw_random(seed) % 16 ? NULL : r);
}

static void spoil_record(uint32_t *seed)
{
	struct umcg_task *r = &any_arena(seed)->rec[raw_random(seed) % RECORDS];

	switch (raw_random(seed) % 8) {
	case 0:
		r->idle_workers_ptr = any_pointer(seed, true);
		break;
	case 1:
		r->idle_server_tid_ptr = any_pointer(seed, false);
		break;
	case 2 ... 3:
		r->next_tid = any_tid(seed);
		break;
	case 4:
		any_arena(seed)->slot[raw_random(seed) % 2] = any_tid(seed);
		break;
	case 5:
		any_arena(seed)->head[raw_random(seed) % 2] = 0;
		break;
	default:
		state_cas(r, state_of(r), any_state(seed));
	}
}

static void spoil_memory(uint32_t *seed)
{
	switch (raw_random(seed) % 64) {
	case 0:
		mprotect(own, 4096, PROT_READ);
		break;
	case 1:
		munmap(own, 4096);
		break;
	case 2:
		madvise(own, 4096, MADV_DONTNEED);
		break;
	case 3 ... 20:
		madvise(shared, 4096, MADV_DONTNEED);
		break;
	case 21 ... 25:
		mprotect(shared, 4096, PROT_READ);
		mprotect(shared, 4096, PROT_READ | PROT_WRITE);
		break;
	case 26:
		if (!syscall(SYS_fork)) {
			call_wait(seed);
			call_ctl(seed);
			_exit(0);
		}
		break;
	default:
		mprotect(own, 4096, PROT_READ | PROT_WRITE);
	}
}

static void disturb(uint32_t *seed)
{
	char c;

	switch (raw_random(seed) % 8) {
	case 0:
		syscall(SYS_tgkill, getpid(), any_tid(seed), SIGUSR1);
		break;
	case 1:
		pin(0, raw_random(seed) % cpus());
		break;
	case 2:
		syscall(SYS_sched_yield);
		break;
	case 3 ... 4:
		if (write(fds[1], "x", 1) == 1 && read(fds[0], &c, 1) == 1)
			break;
		break;
	default:
		nap(raw_random(seed) % 50000);
	}
}

/* Mostly a record that nobody else uses. */
static struct umcg_task *my_record(uint32_t *seed, struct arena *a)
{
	return &a->rec[(raw_random(seed) % 8 ? (uint32_t)gettid() : raw_random(seed)) % RECORDS];
}

/* The contract of "run", kept by and large: the deep states come from here. */
static void nearly_serve(uint32_t *seed)
{
	struct arena *a = any_arena(seed);
	struct umcg_task *r = my_record(seed, a);
	uint32_t me = gettid();

	rec_init(r, RUNNING);
	if (sys_ctl(REGISTER, r))
		return;
	done(SERVERS);
	for (int i = 0; i < 20; i++) {
		uint64_t node = __atomic_exchange_n(&a->head[raw_random(seed) % 2], 0,
						    __ATOMIC_SEQ_CST);
		struct umcg_task *w = (void *)(node - offsetof(struct umcg_task, idle_workers_ptr));

		state_cas(r, RUNNING, IDLE);
		if (node && in_arena(w)) {
			done(RUNS);
			w->idle_workers_ptr = (uint64_t)&a->head[raw_random(seed) % 2];
			w->next_tid = raw_random(seed) % 32 ? me : any_tid(seed);
			/* The list leads to records; the tid is written in the reserve. */
			r->next_tid = w->__reserved[0];
			state_cas(w, IDLE, raw_random(seed) % 32 ? RUNNING : any_state(seed));
		} else {
			r->next_tid = 0;
			a->slot[raw_random(seed) % 2] = me;
		}
		sys_wait(MONOTONIC, now_ns(CLOCK_MONOTONIC) + 300000);
		state_cas(r, IDLE, RUNNING);
		if (raw_random(seed) % 4 == 0)
			state_cas(w = &a->rec[raw_random(seed) % RECORDS], RUNNING,
				  RUNNING | PREEMPTED);
	}
	sys_ctl(UNREGISTER, NULL);
}

static void nearly_work(uint32_t *seed)
{
	struct arena *a = any_arena(seed);
	struct umcg_task *r = my_record(seed, a);

	rec_init(r, BLOCKED);
	r->idle_workers_ptr = (uint64_t)&a->head[raw_random(seed) % 2];
	r->idle_server_tid_ptr = (uint64_t)&a->slot[raw_random(seed) % 2];
	r->__reserved[0] = gettid();
	if (sys_ctl(REGISTER | WORKER, r))
		return;
	done(WORKERS);
	for (int i = 0; i < 20; i++) {
		done(STEPS);
		switch (raw_random(seed) % 8) {
		case 0 ... 2:
			nap(raw_random(seed) % 50000);
			break;
		case 3:
			sys_kick(0, any_tid(seed));
			break;
		case 4:
			disturb(seed);
			break;
		default:
			state_cas(r, RUNNING, IDLE | LOCKED);
			for (int k = 0; k < RECORDS; k++)
				if (a->rec[k].next_tid == r->__reserved[0])
					state_cas(&a->rec[k], IDLE, RUNNING);
			sys_wait(MONOTONIC, now_ns(CLOCK_MONOTONIC) + 300000);
		}
	}
	if (raw_random(seed) % 2)
		sys_ctl(UNREGISTER, NULL);
	else
		syscall(SYS_exit, 0);
}

static void *fuzz_thread(void *arg)
{
	uint32_t seed = (uint32_t)(uintptr_t)arg;
	uint32_t *mine = &shared->tid[child_nr * THREADS + seed % THREADS];

	for (;;) {
		*mine = gettid();
		done(CALLS);
		switch (raw_random(&seed) % 16) {
		case 0 ... 1:
			call_ctl(&seed);
			break;
		case 2 ... 4:
			call_wait(&seed);
			break;
		case 5:
			sys_kick(raw_random(&seed) % 16 ? 0 : raw_random(&seed), any_tid(&seed));
			break;
		case 6 ... 7:
			spoil_record(&seed);
			break;
		case 8:
			if (raw_random(&seed) % 16 == 0)
				spoil_memory(&seed);
			break;
		case 9:
			disturb(&seed);
			break;
		case 10 ... 12:
			nearly_serve(&seed);
			break;
		case 13 ... 14:
			nearly_work(&seed);
			break;
		default:
			if (raw_random(&seed) % 64 == 0)
				return NULL;
		}
	}
}

static void on_usr1(int sig)
{
	(void)sig;
}

static void fuzz_child(void *arg)
{
	uint32_t seed = (uint32_t)(uintptr_t)arg;
	struct sigaction sa = { .sa_handler = on_usr1, .sa_flags = seed & 1 ? SA_RESTART : 0 };

	sigaction(SIGUSR1, &sa, NULL);
	/* Left to themselves they might wait for good: their end is not ours to see. */
	alarm(60);
	CHECK_EQ(pipe(fds), 0);
	own = map_pages(1, 0);
	hole = map_pages(1, 0);
	munmap(hole, 4096);
	/* Workers that nobody runs wait for good, so new threads come all the time. */
	for (uint32_t i = 0;; i++) {
		if (i < MAX_THREADS)
			spawn(fuzz_thread, (void *)(uintptr_t)(seed * MAX_THREADS + i));
		if (i >= THREADS)
			usleep(2000);
	}
}

static struct pool pool;
static struct server s;
static struct worker bystander;

static void bystands(struct worker *self)
{
	for (;; self->count++) {
		if (self->count & 1)
			nap(10000);
		worker_yield(self);
	}
}

int main(int argc, char **argv)
{
	unsigned long died[3] = { 0 };
	uint64_t end, born[CHILDREN] = { 0 };
	pid_t child[CHILDREN] = { 0 };
	uint32_t seed;
	long seconds;

	raw_start();
	seconds = raw_number(argc, argv, "SECONDS", 10);
	seed = argc > 2 ? atoi(argv[2]) : (int)now_ns(CLOCK_REALTIME) >> 10;
	printf("  seed %u, %ld s\n", seed, seconds);
	fflush(stdout);
	shared = map_pages(1, MAP_SHARED);
	server_register(&s, &pool);
	worker_start(&bystander, &pool, bystands, NULL);
	server_expect(&s, &bystander);
	end = now_ns(CLOCK_MONOTONIC) + seconds * NS_PER_S;
	for (int i = 0;; i = (i + 1) % CHILDREN) {
		uint64_t now = now_ns(CLOCK_MONOTONIC);
		int status;

		for (int k = 0; k < 3; k++)
			CHECK_EQ(server_run_through(&s, &bystander), IDLE);
		if (!child[i]) {
			if (now > end)
				break;
			child_nr = i;
			born[i] = now;
			child[i] = child_start(fuzz_child, (void *)(uintptr_t)raw_random(&seed));
		}
		if (now > born[i] + LIFE_MS * NS_PER_MS)
			kill(child[i], SIGKILL);
		if (waitpid(child[i], &status, now > born[i] + LIFE_MS * NS_PER_MS ? 0 : WNOHANG)) {
			child[i] = 0;
			if (WIFEXITED(status))
				died[0]++;
			else if (WTERMSIG(status) == SIGKILL)
				died[1]++;
			else if (WTERMSIG(status) == SIGSEGV || WTERMSIG(status) == SIGBUS)
				died[2]++;
			else
				FAIL("a child died of signal %d", WTERMSIG(status));
		}
		usleep(2000);
	}
	for (int i = 0; i < CHILDREN; i++) {
		if (child[i]) {
			kill(child[i], SIGKILL);
			child_wait(child[i]);
		}
	}
	printf("  children: %lu ended, %lu killed at last, %lu broke the contract\n",
	       died[0], died[1], died[2]);
	for (int i = 0; i < 5; i++)
		printf("  %lu %s\n", shared->done[i], done_names[i]);
	CHECK(died[2] && shared->done[STEPS]);
	fflush(stdout);
	_exit(0);
}
