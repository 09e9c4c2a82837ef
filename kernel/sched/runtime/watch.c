// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The watchdog: a thread that never calls the policy (but for dump(), when
 * all is lost), so that a policy that does not come back cannot stop it, too.
 *
 * A thread is lost when it has been ready for the whole of the watchdog's time,
 * and a server sleeps: that one has asked next(). Where all servers are busy a
 * ready thread may just have to wait; but a policy that does not say
 * UMCG_MAY_STARVE runs others ten times each only if it has forgotten this one.
 * (Each of as many as there ever were: those before it in a queue may have left.)
 *
 * Time alone is no proof: a machine may be slow, a process stopped. So a call of the
 * policy does not come back only if it has used up CPU time meanwhile, or sleeps.
 */
#include <fcntl.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

#define LOOKS	10	/* in the watchdog's time */
#define PASSED	10	/* turns of each other thread */
#define SPUN	4	/* what part of the watchdog's time a call must have spun for */

/* Has a server nothing to do? One that is on its way may only be slow. */
static bool sleeps_beside(struct runtime *rt)
{
	return !(rt->base.flags & UMCG_MAY_IDLE) && rt->sleeping &&
	       rt->attached == rt->seated + rt->sleeping;
}

static enum umcg_fault judge(struct runtime *rt, struct thread *t, uint64_t now, bool sleeps)
{
	if (t->pub.state != UMCG_SCHED_READY || now < t->pub.ready_ns + rt->patience_ns)
		return UMCG_FAULT_NONE;
	if (sleeps)
		return UMCG_FAULT_LOST;
	if (!(rt->base.flags & UMCG_MAY_STARVE) &&
	    rt->turns - t->passed > (uint64_t)PASSED * rt->stats.most_threads)
		return UMCG_FAULT_PASSED;
	return UMCG_FAULT_NONE;
}

/* Under lock. */
static void look_for_lost(struct runtime *rt)
{
	bool sleeps = sleeps_beside(rt);
	uint64_t now = umcg_get_time_ns();

	if (rt->fallen)
		return;
	for (uint32_t i = 0; i < rt->used_slots; i++) {
		struct thread *t = slot_at(rt, i);
		enum umcg_fault fault = t->task == UMCG_NONE ? UMCG_FAULT_NONE : judge(rt, t, now, sleeps);

		if (fault) {
			tick(rt, now);
			fail_policy(rt, fault, t);
			return;
		}
	}
}

static struct actor *actor_at(struct runtime *rt, uint32_t index)
{
	if (index < rt->base.servers)
		return rt->servers[index].there ? &rt->servers[index].actor : NULL;
	index -= rt->base.servers;
	if (index == 0)
		return &rt->timer;
	return index == 1 && rt->dispatcher.made ? &rt->dispatcher : NULL;
}

/* Does @actor sleep, in whatever it has called? Where that cannot be seen it is taken to. */
static bool sleeps(const struct actor *actor)
{
	char path[64], line[256], *end;
	ssize_t length;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", actor->tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return true;
	length = read(fd, line, sizeof(line) - 1);
	close(fd);
	line[length > 0 ? length : 0] = '\0';
	/* 12 (name) S ... */
	end = strrchr(line, ')');
	return !end || end[1] != ' ' || end[2] == 'S';
}

/* Is @actor in the same call of the policy for too long? */
static bool is_stuck(struct runtime *rt, struct actor *actor, uint64_t now)
{
	uint64_t calls = atomic_load(&actor->calls);

	if (!atomic_load(&actor->inside) || calls != actor->seen_calls) {
		actor->seen_calls = calls;
		actor->seen_ns = now;
		actor->seen_cpu_ns = cpu_time_of(actor->tid);
		return false;
	}
	return now >= actor->seen_ns + rt->patience_ns &&
	       (cpu_time_of(actor->tid) >= actor->seen_cpu_ns + rt->patience_ns / SPUN || sleeps(actor));
}

static void nap(struct runtime *rt, uint64_t ns)
{
	struct timespec time = {
		.tv_sec = (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000),
	};
	uint32_t word = atomic_load(&rt->watch_word);

	if (!word)
		syscall(SYS_futex, &rt->watch_word, FUTEX_WAIT_PRIVATE, word, &time, NULL, 0);
}

static void give_up(void)
{
	static const char text[] = "umcg-sched: it cannot be got out of there, so the process ends\n";

	/* Whether it is seen or not. */
	(void)!write(STDERR_FILENO, text, sizeof(text) - 1);
	abort();
}

/*
 * @actor is in the policy, has the lock, and does not come back. So what the report
 * shows is read without the lock: while it stands still it does not change.
 */
static void get_out(struct runtime *rt, struct actor *actor)
{
	uint64_t calls = atomic_load(&actor->calls);

	report_policy(rt, UMCG_FAULT_STUCK, NULL, actor);
	if ((rt->config.flags & UMCG_SCHED_NO_HANDLER) || !guard_holds())
		give_up();
	atomic_store(&actor->stuck, true);
	syscall(SYS_tgkill, getpid(), actor->tid, SIGSEGV);
	for (int i = 0; atomic_load(&actor->stuck) && calls == atomic_load(&actor->calls); i++) {
		if (i == LOOKS)
			give_up();
		nap(rt, rt->patience_ns / LOOKS);
	}
}

static void look(struct runtime *rt)
{
	uint64_t now = umcg_get_time_ns();

	bool may_stick = !(rt->config.flags & UMCG_SCHED_COMES_BACK);

	for (uint32_t i = 0; may_stick && i < rt->base.servers + 2; i++) {
		struct actor *actor = actor_at(rt, i);

		if (actor && is_stuck(rt, actor, now))
			get_out(rt, actor);
	}
	/* The thread that has it is at work, or will be found above. */
	if (pthread_mutex_trylock(&rt->lock))
		return;
	look_for_lost(rt);
	unlock(rt);
}

void *watch_body(void *actor)
{
	struct actor *self = actor;
	struct runtime *rt = self->rt;

	if (actor_begin(self, false))
		return NULL;
	while (!atomic_load(&rt->watch_word)) {
		nap(rt, rt->patience_ns / (LOOKS - 2));
		look(rt);
	}
	actor_resign(self);
	return NULL;
}

void watch_close(struct runtime *rt)
{
	atomic_store(&rt->watch_word, 1);
	syscall(SYS_futex, &rt->watch_word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}
