// SPDX-License-Identifier: MIT
/*
 * A policy whose functions another thread carries out, as those of an interpreted
 * language must be: its lock, its signals and its exceptions stay in that thread,
 * and the scheduler's threads do no more than wait for an answer.
 *
 * One call at a time, as the scheduler calls under its lock. It comes back when it is
 * answered, or when the thread has closed the policy: then with an error, upon which
 * the scheduler goes on without it. Never before: what the thread looks at must not go
 * away under it, so that it is the thread that sees to it that it comes to an end.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lab.h"

#include <umcg-sched.h>

enum stage { NOTHING, ASKED, TAKEN, ANSWERED };

struct lab_proxy {
	struct umcg_policy policy;
	char name[256];
	pthread_mutex_t lock;
	pthread_cond_t moved;		/* by CLOCK_MONOTONIC */
	enum stage stage;
	struct lab_asked asked;
	uint64_t answer;
	bool closed;
	char why[UMCG_SENTENCE];	/* it is closed */
	char dump[8192];		/* and said of itself before */
};

static struct timespec after(uint64_t ns)
{
	int64_t when = lab_now() + (int64_t)ns;

	return (struct timespec){ .tv_sec = when / 1000000000, .tv_nsec = when % 1000000000 };
}

static uint64_t ask(struct umcg_sched *s, const struct lab_asked *asked, uint64_t otherwise)
{
	struct lab_proxy *proxy = s->binding;
	uint64_t answer = otherwise;

	pthread_mutex_lock(&proxy->lock);
	if (!proxy->closed) {
		proxy->asked = *asked;
		proxy->asked.sched = (intptr_t)s;
		proxy->stage = ASKED;
		pthread_cond_broadcast(&proxy->moved);
		while (!proxy->closed && proxy->stage != ANSWERED)
			pthread_cond_wait(&proxy->moved, &proxy->lock);
		if (!proxy->closed)
			answer = proxy->answer;
		proxy->stage = NOTHING;
	}
	if (proxy->closed && asked->call == LAB_CALL_DUMP)
		umcg_print(s, "%s\n", proxy->dump);
	else if (proxy->closed)
		umcg_error(s, "%s", proxy->why);
	pthread_mutex_unlock(&proxy->lock);
	return answer;
}

static int init(struct umcg_sched *s)
{
	struct lab_asked asked = { .call = LAB_CALL_INIT };

	return ask(s, &asked, 1) ? -1 : 0;
}

static void ready(struct umcg_sched *s, struct umcg_sched_thread *t, enum umcg_why why)
{
	struct lab_asked asked = { .call = LAB_CALL_READY, .thread = (intptr_t)t, .why = why };

	ask(s, &asked, 0);
}

static struct umcg_sched_thread *next(struct umcg_sched *s, uint32_t server)
{
	struct lab_asked asked = { .call = LAB_CALL_NEXT, .server = server };

	return (struct umcg_sched_thread *)(uintptr_t)ask(s, &asked, 0);
}

static void stopped(struct umcg_sched *s, struct umcg_sched_thread *t, enum umcg_why why,
		    uint64_t ran_ns)
{
	struct lab_asked asked = {
		.call = LAB_CALL_STOPPED, .thread = (intptr_t)t, .why = why, .ran_ns = ran_ns,
	};

	ask(s, &asked, 0);
}

static uint64_t slice(struct umcg_sched *s, struct umcg_sched_thread *t)
{
	struct lab_asked asked = { .call = LAB_CALL_SLICE, .thread = (intptr_t)t };

	return ask(s, &asked, 0);
}

static bool before(struct umcg_sched *s, const struct umcg_sched_thread *a,
		   const struct umcg_sched_thread *b)
{
	struct lab_asked asked = {
		.call = LAB_CALL_BEFORE, .thread = (intptr_t)a, .other = (intptr_t)b,
	};

	return ask(s, &asked, 0);
}

static void dump(struct umcg_sched *s)
{
	struct lab_asked asked = { .call = LAB_CALL_DUMP };

	ask(s, &asked, 0);
}

struct lab_proxy *lab_proxy_new(const char *name, uint32_t flags, bool has_slice, bool has_before)
{
	struct lab_proxy *proxy = calloc(1, sizeof(*proxy));
	pthread_condattr_t attr;

	if (!proxy)
		return NULL;
	snprintf(proxy->name, sizeof(proxy->name), "%s", name);
	proxy->policy = (struct umcg_policy){
		.abi = UMCG_POLICY_ABI, .size = sizeof(proxy->policy),
		.name = proxy->name, .summary = proxy->name, .flags = flags,
		.init = init, .ready = ready, .next = next, .stopped = stopped,
		.slice = has_slice ? slice : NULL, .before = has_before ? before : NULL,
		.dump = dump,
	};
	pthread_mutex_init(&proxy->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&proxy->moved, &attr);
	pthread_condattr_destroy(&attr);
	return proxy;
}

void lab_proxy_free(struct lab_proxy *proxy)
{
	pthread_cond_destroy(&proxy->moved);
	pthread_mutex_destroy(&proxy->lock);
	free(proxy);
}

void lab_proxy_use(struct lab_proxy *proxy, struct lab_policy *policy)
{
	policy->own = (intptr_t)&proxy->policy;
	policy->binding = (intptr_t)proxy;
}

bool lab_proxy_wait(struct lab_proxy *proxy, uint64_t ns, struct lab_asked *asked)
{
	struct timespec until = after(ns);
	bool found;

	pthread_mutex_lock(&proxy->lock);
	while (proxy->stage != ASKED && !proxy->closed &&
	       pthread_cond_timedwait(&proxy->moved, &proxy->lock, &until) != ETIMEDOUT)
		;
	found = proxy->stage == ASKED && !proxy->closed;
	if (found) {
		proxy->stage = TAKEN;
		*asked = proxy->asked;
	}
	pthread_mutex_unlock(&proxy->lock);
	return found;
}

void lab_proxy_answer(struct lab_proxy *proxy, uint64_t answer)
{
	pthread_mutex_lock(&proxy->lock);
	/* Who asked may have gone: then this answers nobody. */
	if (proxy->stage == TAKEN) {
		proxy->answer = answer;
		proxy->stage = ANSWERED;
		pthread_cond_broadcast(&proxy->moved);
	}
	pthread_mutex_unlock(&proxy->lock);
}

void lab_proxy_close(struct lab_proxy *proxy, const char *why, const char *dump)
{
	pthread_mutex_lock(&proxy->lock);
	if (!proxy->closed) {
		proxy->closed = true;
		snprintf(proxy->why, sizeof(proxy->why), "%s", why);
		snprintf(proxy->dump, sizeof(proxy->dump), "%s", dump);
	}
	pthread_cond_broadcast(&proxy->moved);
	pthread_mutex_unlock(&proxy->lock);
}

int32_t lab_proxy_tid(intptr_t sched, uint32_t thread)
{
	struct umcg_sched_thread_stats stats;
	uint32_t id = thread;

	return umcg_sched_get_thread((struct umcg_sched *)sched, &id, &stats) && id == thread ?
		stats.tid : 0;
}
