// SPDX-License-Identifier: MIT
/*
 * Two threads hand one turn back and forth.
 *
 * At any time exactly one of the two holds the turn, so a stop needs no wake-up:
 * the holder sees it, hands the turn over for the last time and leaves; the
 * other finds the end announced and leaves too.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <unistd.h>
#include <linux/futex.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

#include "lab.h"

struct pair;

/* How the turn is handed over; @me is 0 or 1. 0, or -1 with errno. */
struct method {
	int (*give)(struct pair *pair, int me);		/* do not wait */
	int (*take)(struct pair *pair, int me);		/* wait for it */
	int (*handoff)(struct pair *pair, int me);	/* give, then take */
	enum lab_role role[2];
	bool server;					/* a third thread serves */
};

struct pair {
	const struct method *method;
	struct lab_swap *swap;
	struct lab_run *run;
	_Atomic bool warm;				/* the clock runs */
	_Atomic bool ended;
	_Alignas(64) _Atomic uint32_t word[2];		/* futex, yield */
	pthread_mutex_t lock;				/* condvar */
	pthread_cond_t cond[2];
	int turn;
	int fd[2][2];					/* pipe, eventfd */
	umcg_t group;
	_Atomic uint32_t ready;
	_Atomic int64_t given_at;			/* traced only */
};

static long futex(_Atomic uint32_t *word, int op, uint32_t value)
{
	return syscall(SYS_futex, word, op | FUTEX_PRIVATE_FLAG, value, NULL, NULL, 0);
}

static int futex_give(struct pair *pair, int me)
{
	atomic_store(&pair->word[!me], 1);
	return futex(&pair->word[!me], FUTEX_WAKE, 1) < 0 ? -1 : 0;
}

static int futex_take(struct pair *pair, int me)
{
	while (!atomic_exchange(&pair->word[me], 0))
		if (futex(&pair->word[me], FUTEX_WAIT, 0) < 0 &&
		    errno != EAGAIN && errno != EINTR)
			return -1;
	return 0;
}

static int condvar_give(struct pair *pair, int me)
{
	pthread_mutex_lock(&pair->lock);
	pair->turn = !me;
	pthread_cond_signal(&pair->cond[!me]);
	pthread_mutex_unlock(&pair->lock);
	return 0;
}

static int condvar_take(struct pair *pair, int me)
{
	pthread_mutex_lock(&pair->lock);
	while (pair->turn != me)
		pthread_cond_wait(&pair->cond[me], &pair->lock);
	pthread_mutex_unlock(&pair->lock);
	return 0;
}

static int condvar_handoff(struct pair *pair, int me)
{
	pthread_mutex_lock(&pair->lock);
	pair->turn = !me;
	pthread_cond_signal(&pair->cond[!me]);
	while (pair->turn != me)
		pthread_cond_wait(&pair->cond[me], &pair->lock);
	pthread_mutex_unlock(&pair->lock);
	return 0;
}

static int pipe_give(struct pair *pair, int me)
{
	return write(pair->fd[!me][1], "", 1) == 1 ? 0 : -1;
}

static int pipe_take(struct pair *pair, int me)
{
	char byte;

	return read(pair->fd[me][0], &byte, 1) == 1 ? 0 : -1;
}

static int eventfd_give(struct pair *pair, int me)
{
	return eventfd_write(pair->fd[!me][0], 1);
}

static int eventfd_take(struct pair *pair, int me)
{
	eventfd_t value;

	return eventfd_read(pair->fd[me][0], &value);
}

static int yield_give(struct pair *pair, int me)
{
	atomic_store_explicit(&pair->word[!me], 1, memory_order_release);
	return 0;
}

static int yield_take(struct pair *pair, int me)
{
	while (!atomic_load_explicit(&pair->word[me], memory_order_acquire))
		sched_yield();
	atomic_store_explicit(&pair->word[me], 0, memory_order_relaxed);
	return 0;
}

static int give_take(struct pair *pair, int me)
{
	return pair->method->give(pair, me) ?: pair->method->take(pair, me);
}

static umcg_tid other(struct pair *pair, int me)
{
	return atomic_load_explicit(&pair->run->threads[!me].task, memory_order_relaxed);
}

static int umcg_give(struct pair *pair, int me)
{
	return umcg_wake(other(pair, me), pair->swap->cpu >= 0 && pair->swap->other_cpu < 0);
}

static int umcg_take(struct pair *pair, int me)
{
	(void)pair;
	(void)me;
	while (umcg_wait(0))
		if (errno != EINTR)
			return -1;
	return 0;
}

static int umcg_handoff(struct pair *pair, int me)
{
	return umcg_swap(other(pair, me), 0);
}

/* Server and worker: 0 is the server, lending its place is the hand-off. */
static int server_give(struct pair *pair, int me)
{
	umcg_tid back;

	if (me)
		return 0;	/* the worker's last hand-off is to leave */
	back = umcg_run_worker(other(pair, me));
	return back == UMCG_NONE && errno ? -1 : 0;
}

static int server_handoff(struct pair *pair, int me)
{
	return me ? umcg_wait(0) : server_give(pair, me);
}

static const struct method methods[] = {
	[LAB_UMCG_SWAP] = { umcg_give, umcg_take, umcg_handoff,
			    { LAB_BASIC, LAB_BASIC }, false },
	[LAB_UMCG_WAKE_WAIT] = { umcg_give, umcg_take, give_take,
				 { LAB_BASIC, LAB_BASIC }, false },
	[LAB_UMCG_WORKER_SWAP] = { umcg_give, umcg_take, umcg_handoff,
				   { LAB_WORKER, LAB_WORKER }, true },
	[LAB_UMCG_SERVER_WORKER] = { server_give, umcg_take, server_handoff,
				     { LAB_SERVER, LAB_WORKER }, false },
	[LAB_FUTEX] = { futex_give, futex_take, give_take,
			{ LAB_THREAD, LAB_THREAD }, false },
	[LAB_CONDVAR] = { condvar_give, condvar_take, condvar_handoff,
			  { LAB_THREAD, LAB_THREAD }, false },
	[LAB_PIPE] = { pipe_give, pipe_take, give_take,
		       { LAB_THREAD, LAB_THREAD }, false },
	[LAB_EVENTFD] = { eventfd_give, eventfd_take, give_take,
			  { LAB_THREAD, LAB_THREAD }, false },
	[LAB_SCHED_YIELD] = { yield_give, yield_take, give_take,
			      { LAB_THREAD, LAB_THREAD }, false },
};

static struct pair *pair_of(struct lab_thread *self)
{
	return self->run->context;
}

static bool is_umcg(const struct pair *pair)
{
	return pair->method->role[0] != LAB_THREAD;
}

/* The server of the two workers, or of the one. */
static int32_t server_of(struct lab_run *run)
{
	return run->threads[run->nr_threads == 3 ? 2 : 0].tid;
}

/* One hand-off with its two events: the turn leaves, the turn is back. */
static int traced_handoff(struct pair *pair, struct lab_thread *self, int me)
{
	enum lab_state away = is_umcg(pair) ? LAB_IDLE : LAB_BLOCKED;
	enum lab_kind kind = LAB_WAIT, back_kind = LAB_WAKE;
	int32_t peer = pair->run->threads[!me].tid;
	int64_t before = lab_now(), after, given;
	int err;

	if (pair->method->handoff == umcg_handoff) {
		kind = LAB_SWAP;
		back_kind = LAB_SWAP;
	} else if (pair->method->handoff == server_handoff) {
		kind = me ? LAB_YIELD : LAB_RUN;
		back_kind = me ? LAB_RUN : LAB_YIELD;
	}
	lab_emit(self, before, self->tid, kind, LAB_RUNNING, away, peer, 0);
	atomic_store_explicit(&pair->given_at, before, memory_order_relaxed);
	err = pair->method->handoff(pair, me);
	given = atomic_load_explicit(&pair->given_at, memory_order_relaxed);
	after = lab_now();
	if (self->role == LAB_WORKER && kind == LAB_SWAP && atomic_load(&pair->ended)) {
		/* The last turn: woken, and run by the server. */
		back_kind = LAB_RUN;
		peer = server_of(pair->run);
	}
	lab_emit(self, after, self->tid, back_kind, away, LAB_RUNNING, peer, 0);
	lab_emit(self, after, self->tid, LAB_OP, LAB_RUNNING, LAB_RUNNING, peer,
		 after - given);
	return err;
}

static int handoff(struct pair *pair, struct lab_thread *self, int me)
{
	lab_count(self);
	if (self->max_events)
		return traced_handoff(pair, self, me);
	return pair->method->handoff(pair, me);
}

/* A side's first and last event, both while it holds the turn. */
static void appear(struct lab_thread *self)
{
	int64_t now = lab_now();

	if (self->role != LAB_WORKER) {
		lab_emit(self, now, self->tid, LAB_REGISTER, LAB_NONE, LAB_RUNNING, 0, 0);
		return;
	}
	lab_emit(self, now, self->tid, LAB_REGISTER, LAB_NONE, LAB_BLOCKED, 0, 0);
	lab_emit(self, now, self->tid, LAB_WAKE, LAB_BLOCKED, LAB_IDLE, 0, 0);
	lab_emit(self, now, self->tid, LAB_RUN, LAB_IDLE, LAB_RUNNING,
		 server_of(self->run), 0);
}

static void vanish(struct lab_thread *self)
{
	lab_emit(self, lab_now(), self->tid, LAB_UNREGISTER, LAB_RUNNING, LAB_NONE, 0, 0);
}

/* Hand the turn over for the last time. A server gets its place back once more. */
static void depart(struct pair *pair, struct lab_thread *self)
{
	int32_t peer = pair->run->threads[1].tid;
	bool lends = self->role == LAB_SERVER;

	atomic_store(&pair->ended, true);
	if (lends)
		lab_emit(self, lab_now(), self->tid, LAB_RUN, LAB_RUNNING, LAB_IDLE, peer, 0);
	else
		vanish(self);
	if (pair->method->give(pair, 0))
		lab_fail(pair->run, "last hand-off", errno);
	if (lends) {
		lab_emit(self, lab_now(), self->tid, LAB_UNREGISTER, LAB_IDLE, LAB_RUNNING,
			 peer, 0);
		vanish(self);
	}
}

/*
 * Have @i round trips since @begin taken @ns? Looks only now and then, at no cost, and not
 * before the first: somebody else may have had the CPU for all that time.
 */
static bool took(uint64_t i, int64_t begin, uint64_t ns)
{
	return i && i % 16 == 0 && lab_now() - begin >= (int64_t)ns;
}

static int warm_up(struct pair *pair)
{
	uint64_t ns = pair->swap->duration_ns / 20;
	int64_t begin = lab_now();

	for (uint64_t i = 0; i < pair->swap->warmup || (ns && !took(i, begin, ns)); i++) {
		if (lab_stopped(pair->run))
			break;
		if (pair->method->handoff(pair, 0))
			return -1;
	}
	return 0;
}

static void lead(struct pair *pair, struct lab_thread *self)
{
	struct lab_swap *swap = pair->swap;
	int64_t begin;
	uint64_t i;

	if (warm_up(pair))
		goto fail;
	appear(self);
	atomic_store_explicit(&pair->warm, true, memory_order_release);
	begin = lab_now();
	for (i = 0; i < swap->rounds && !lab_stopped(pair->run); i++) {
		if (swap->duration_ns && took(i, begin, swap->duration_ns))
			break;
		if (handoff(pair, self, 0))
			goto fail;
	}
	swap->elapsed_ns = (uint64_t)(lab_now() - begin);
	swap->done = i;
	goto end;
fail:
	lab_fail(pair->run, "hand-off", errno);
end:
	depart(pair, self);
}

static void follow(struct pair *pair, struct lab_thread *self)
{
	int err = pair->method->take(pair, 1);
	bool warm = false;

	while (!err && !atomic_load_explicit(&pair->ended, memory_order_acquire)) {
		if (!warm && atomic_load_explicit(&pair->warm, memory_order_acquire)) {
			warm = true;
			appear(self);
		}
		err = warm ? handoff(pair, self, 1) : pair->method->handoff(pair, 1);
	}
	if (err) {
		lab_fail(pair->run, "hand-off", errno);
		pair->method->give(pair, 1);
	}
	vanish(self);
}

static int register_side(struct pair *pair, struct lab_thread *self)
{
	intptr_t tag = (intptr_t)self;
	umcg_tid task = UMCG_NONE;

	atomic_store(&self->task, umcg_get_utid());
	if (self->role == LAB_BASIC)
		task = umcg_register_basic_task(tag);
	else if (self->role == LAB_SERVER)
		task = umcg_register_server(pair->group, tag);
	else
		task = umcg_register_worker(pair->group, tag);
	return task == UMCG_NONE ? -1 : 0;
}

static umcg_tid run_one(struct lab_thread *self, umcg_tid worker)
{
	int32_t tid = ((struct lab_thread *)umcg_get_task_tag(worker))->tid;
	umcg_tid back;

	lab_emit(self, lab_now(), self->tid, LAB_RUN, LAB_RUNNING, LAB_IDLE, tid, 0);
	errno = 0;
	back = umcg_run_worker(worker);
	lab_emit(self, lab_now(), self->tid, LAB_WAKE, LAB_IDLE, LAB_RUNNING, tid, 0);
	return back;
}

/* The next worker on the idle list; tells when that takes a sleep. */
static umcg_tid next_idle(struct lab_thread *self)
{
	umcg_tid task = umcg_get_idle_worker(false);

	if (task != UMCG_NONE)
		return task;
	lab_emit(self, lab_now(), self->tid, LAB_WAIT, LAB_RUNNING, LAB_IDLE, 0, 0);
	do {
		task = umcg_get_idle_worker(true);
	} while (task == UMCG_NONE && errno == EINTR);
	lab_emit(self, lab_now(), self->tid, LAB_WAKE, LAB_IDLE, LAB_RUNNING, 0, 0);
	return task;
}

/* The server of two workers: the follower first, until it waits for its turn. */
static void serve_pair(struct pair *pair, struct lab_thread *self)
{
	umcg_tid worker[2], follower = other(pair, 0);
	uint32_t left = 2;

	for (int i = 0; i < 2; i++)
		worker[i] = next_idle(self);
	if (worker[0] != follower) {
		umcg_tid first = worker[0];

		worker[0] = worker[1];
		worker[1] = first;
	}
	for (int i = 0; i < 2; i++)
		if (run_one(self, worker[i]) == UMCG_NONE)
			left--;
	while (left) {
		umcg_tid next = next_idle(self);

		if (next == UMCG_NONE) {
			lab_fail(pair->run, "next idle worker", errno);
			return;
		}
		if (run_one(self, next) == UMCG_NONE) {
			if (errno) {
				lab_fail(pair->run, "run a worker", errno);
				return;
			}
			left--;
		}
	}
}

static void *side_body(void *arg)
{
	struct lab_thread *self = arg;
	struct pair *pair = pair_of(self);
	int me = (int)self->index;
	bool registered = false;

	if (!lab_thread_begin(self))
		return NULL;
	if (is_umcg(pair)) {
		registered = !register_side(pair, self);
		if (!registered)
			lab_fail(pair->run, "registration", errno);
	}
	/* Nobody may hand a turn to a task that is not there yet. */
	atomic_fetch_add(&pair->ready, 1);
	if (self->role != LAB_WORKER)
		while (atomic_load(&pair->ready) < 2 &&
		       pair->method->role[1] != LAB_WORKER)
			sched_yield();
	if (pair->run->error) {
		/* One of the two could not register: there is none to hand a turn to. */
	} else if (self->role == LAB_SERVER) {
		/* Its worker stands on the idle list: take it from there once. */
		umcg_get_idle_worker(true);
		lead(pair, self);
	} else if (me) {
		follow(pair, self);
	} else {
		lead(pair, self);
	}
	if (registered && umcg_unregister_task())
		lab_fail(pair->run, "unregister", errno);
	lab_thread_end(self);
	return NULL;
}

static void *server_body(void *arg)
{
	struct lab_thread *self = arg;
	struct pair *pair = pair_of(self);

	if (!lab_thread_begin(self))
		return NULL;
	if (umcg_register_server(pair->group, (intptr_t)self) == UMCG_NONE) {
		lab_fail(pair->run, "registration of the server", errno);
	} else {
		appear(self);
		serve_pair(pair, self);
		vanish(self);
		umcg_unregister_task();
	}
	lab_thread_end(self);
	return NULL;
}

static int open_files(struct pair *pair, int method)
{
	for (int i = 0; i < 2; i++) {
		if (method == LAB_PIPE && pipe(pair->fd[i]))
			return -1;
		if (method == LAB_EVENTFD) {
			pair->fd[i][0] = eventfd(0, 0);
			if (pair->fd[i][0] < 0)
				return -1;
		}
	}
	return 0;
}

static void close_files(struct pair *pair)
{
	for (int i = 0; i < 4; i++)
		if (pair->fd[i / 2][i % 2] >= 0)
			close(pair->fd[i / 2][i % 2]);
}

static int make_threads(struct pair *pair)
{
	const struct method *method = pair->method;
	const int32_t *cpu = &pair->swap->cpu;
	const int32_t *second = pair->swap->other_cpu >= 0 ? &pair->swap->other_cpu : cpu;
	uint32_t pinned = *cpu >= 0;

	for (int i = 0; i < 2; i++)
		if (!lab_thread_new(pair->run, method->role[i], side_body, i ? second : cpu,
				    pinned))
			return -1;
	if (method->server &&
	    !lab_thread_new(pair->run, LAB_SERVER, server_body, cpu, pinned))
		return -1;
	return 0;
}

int lab_swap(struct lab_run *run, struct lab_swap *swap)
{
	struct pair pair = {
		.swap = swap, .run = run, .group = UMCG_NONE,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.cond = { PTHREAD_COND_INITIALIZER, PTHREAD_COND_INITIALIZER },
		.fd = { { -1, -1 }, { -1, -1 } },
	};
	int made;

	if (swap->method < 0 || swap->method > LAB_SCHED_YIELD) {
		errno = EINVAL;
		return -1;
	}
	pair.method = &methods[swap->method];
	run->context = &pair;
	if (open_files(&pair, swap->method))
		lab_fail(run, "pipe or eventfd", errno);
	if (is_umcg(&pair) && pair.method->role[1] == LAB_WORKER) {
		pair.group = umcg_create_group(0);
		if (pair.group == UMCG_NONE)
			lab_fail(run, "umcg_create_group", errno);
	}
	if (!run->error && make_threads(&pair))
		lab_fail(run, "pthread_create", errno);
	made = !run->error;
	lab_gate(run, made);
	lab_join(run, 0, run->nr_threads);
	if (pair.group != UMCG_NONE && umcg_destroy_group(pair.group))
		lab_fail(run, "umcg_destroy_group", errno);
	close_files(&pair);
	run->context = NULL;
	errno = run->error;
	return run->error ? -1 : 0;
}
