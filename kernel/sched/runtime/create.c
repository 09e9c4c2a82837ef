// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Schedulers: made, started, stopped, destroyed. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "internal.h"

#define SERVERS_MAX	1024U
#define THREADS_MAX	(1U << 22)
#define THREADS		32768U
#define WATCHDOG_NS	5000000000ULL

extern const struct umcg_policy umcg_policy_rr;

__attribute__((format(printf, 3, 4)))
static int refuse(char *why, int error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, UMCG_SENTENCE, format, args);
	va_end(args);
	errno = error;
	return -1;
}

static size_t rounded(size_t size)
{
	return (size + 7) & ~(size_t)7;
}

static int read_config(struct runtime *rt, const struct umcg_sched_config *config, char *why)
{
	struct umcg_sched_config *c = &rt->config;

	if (config && config->size != sizeof(*config))
		return refuse(why, EINVAL, "this program was compiled for another version of "
			      "libumcg-sched: compile it again");
	if (config)
		*c = *config;
	c->servers = c->servers ? c->servers : 1;
	c->threads = c->threads ? c->threads : THREADS;
	c->watchdog_ns = c->watchdog_ns ? c->watchdog_ns : WATCHDOG_NS;
	if (c->servers > SERVERS_MAX || c->threads > THREADS_MAX)
		return refuse(why, EINVAL, "%u servers and %u threads: there can be at most %u and %u",
			      c->servers, c->threads, SERVERS_MAX, THREADS_MAX);
	/* The timer and the dispatcher have slots, too. */
	if ((c->flags & UMCG_SCHED_PASS_ON) && c->servers > UMCG_MAX_SLOTS - 2)
		return refuse(why, EINVAL, "%u servers: places of at most %d can pass on", c->servers,
			      UMCG_MAX_SLOTS - 2);
	if (!umcg_enabled())
		return refuse(why, ENOSYS, "the running kernel has no UMCG (libumcg(7) says what that is)");
	rt->patience_ns = c->watchdog_ns / 10 * 8;
	return 0;
}

static int find_policy(struct runtime *rt, char *why)
{
	struct umcg_sched_config *c = &rt->config;

	if (!c->own)
		return umcg_choose(c->policy ? c->policy : "fifo", &rt->choice, why);
	rt->choice.policy = c->own;
	rt->choice.options = c->options ? c->options : "";
	return umcg_policy_check(c->own, "the program", why);
}

static int find_memory(struct runtime *rt)
{
	const struct umcg_policy *policy = rt->choice.policy, *rr = &umcg_policy_rr;
	uint32_t own = policy->thread_size > rr->thread_size ? policy->thread_size : rr->thread_size;
	struct umcg_sched *base = &rt->base;

	rt->stride = sizeof(struct thread) + rounded(own);
	rt->nr_slots = rt->config.threads;
	rt->slots = mmap(NULL, rt->nr_slots * rt->stride, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (rt->slots == MAP_FAILED)
		rt->slots = NULL;
	rt->servers = calloc(rt->config.servers, sizeof(*rt->servers));
	base->running = calloc(rt->config.servers, sizeof(*base->running));
	rt->first = calloc(1, policy->sched_size + 1);
	rt->first_servers = calloc(rt->config.servers, rounded(policy->server_size) + 1);
	rt->spare = calloc(1, rr->sched_size + 1);
	rt->spare_servers = calloc(rt->config.servers, rounded(rr->server_size) + 1);
	if (rt->config.trace)
		rt->trace = calloc(rt->config.trace, sizeof(*rt->trace));
	rt->tells = rt->config.trace || rt->config.event;
	/* Touched now: no page fault under the lock. */
	for (size_t i = 0; rt->trace && i < rt->config.trace; i++)
		*(volatile uint64_t *)&rt->trace[i].time_ns = 0;
	return rt->slots && rt->servers && base->running && rt->first && rt->first_servers && rt->spare &&
	       rt->spare_servers && (rt->trace || !rt->config.trace) ? 0 : -1;
}

/* init() is the policy's, too: it may crash. */
static int guarded_init(struct runtime *rt, struct actor *self, char *why)
{
	const char *name = rt->choice.policy->name;

	if (sigsetjmp(self->env, 0))
		return refuse(why, EINVAL, "policy %s crashed in init() (signal %d)", name, self->signal);
	if (policy_init(rt))
		return refuse(why, EINVAL, "policy %s: %s", name, rt->error ? rt->error : "init() failed");
	return 0;
}

static int begin_policy(struct runtime *rt, char *why)
{
	struct actor self = { .rt = rt, .name = "umcg_sched_create()" }, *outer = umcg_sched_actor;
	int failed;

	if (umcg_policy_options(&umcg_policy_rr, "", rt->spare, why) ||
	    umcg_policy_options(rt->choice.policy, rt->choice.options, rt->first, why)) {
		errno = EINVAL;
		return -1;
	}
	if (guard_enter(&self))
		return refuse(why, errno, "no memory for a stack for signals");
	umcg_sched_actor = &self;
	failed = guarded_init(rt, &self, why);
	umcg_sched_actor = outer;
	guard_leave(&self);
	guard_free(&self);
	return failed;
}

static void name_actors(struct runtime *rt)
{
	for (uint32_t i = 0; i < rt->config.servers; i++) {
		struct server *server = &rt->servers[i];

		server->index = i;
		server->idles = true;
		server->slice_end = NEVER;
		server->actor.rt = rt;
		server->actor.name = "umcg-server";
	}
	rt->timer.rt = rt->dispatcher.rt = rt->watchdog.rt = rt;
	rt->timer.name = "umcg-timer";
	rt->dispatcher.name = "umcg-dispatch";
	rt->watchdog.name = "umcg-watchdog";
}

static void fill(struct runtime *rt)
{
	struct umcg_sched *base = &rt->base;

	base->host = &umcg_sched_host_table;
	base->policy = rt->choice.policy;
	base->policy_data = rt->first;
	base->server_data = rt->first_servers;
	base->servers = rt->config.servers;
	base->flags = base->policy->flags;
	base->random = rt->config.seed;
	base->binding = rt->config.binding;
	base->now_ns = umcg_get_time_ns();
	rt->arrived_end = &rt->arrived;
	rt->timer_at = NEVER;
	name_actors(rt);
}

static void free_all(struct runtime *rt)
{
	for (uint32_t i = 0; rt->servers && i < rt->config.servers; i++)
		guard_free(&rt->servers[i].actor);
	guard_free(&rt->timer);
	guard_free(&rt->dispatcher);
	guard_free(&rt->watchdog);
	if (rt->slots)
		munmap(rt->slots, rt->nr_slots * rt->stride);
	free(rt->servers);
	free(rt->base.running);
	free(rt->first);
	free(rt->first_servers);
	free(rt->spare);
	free(rt->spare_servers);
	free(rt->trace);
	umcg_unchoose(&rt->choice);
	pthread_mutex_destroy(&rt->lock);
	pthread_mutex_destroy(&rt->start_lock);
	pthread_cond_destroy(&rt->start_moved);
	free(rt);
}

static int open_all(struct runtime *rt, const struct umcg_sched_config *config, char *why)
{
	if (read_config(rt, config, why))
		return -1;
	if (find_policy(rt, why)) {
		errno = EINVAL;
		return -1;
	}
	if (find_memory(rt))
		return refuse(why, ENOMEM, "no memory for %u threads and %u servers", rt->config.threads,
			      rt->config.servers);
	fill(rt);
	rt->guarded = !(rt->config.flags & UMCG_SCHED_NO_HANDLER) && !guard_open();
	if (begin_policy(rt, why))
		return -1;
	rt->passing = rt->config.flags & UMCG_SCHED_PASS_ON;
	if (rt->passing && !(rt->base.flags & UMCG_MAY_PASS_ON))
		return refuse(why, EINVAL, "policy %s does not permit that places pass on (UMCG_MAY_PASS_ON)",
			      rt->base.policy->name);
	rt->group = umcg_create_group(GROUP_FLAGS | (rt->passing ? UMCG_GROUP_PASS_ON : 0));
	if (rt->group == UMCG_NONE)
		return refuse(why, errno, "no group: %s", strerror(errno));
	if (!slots_open(rt))
		return 0;
	umcg_destroy_group(rt->group);
	return refuse(why, EAGAIN, "there are as many schedulers in this process as there may be");
}

/* The child of fork() has one thread, which is neither scheduled nor one of ours. */
static void forked(void)
{
	umcg_sched_self = NULL;
	umcg_sched_actor = NULL;
}

static void watch_forks(void)
{
	pthread_atfork(NULL, NULL, forked);
}

EXPORT struct umcg_sched *umcg_sched_create(const struct umcg_sched_config *config, char *why)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct runtime *rt = calloc(1, sizeof(*rt));
	char unread[UMCG_SENTENCE];
	int error;

	pthread_once(&once, watch_forks);
	why = why ? why : unread;
	if (!rt) {
		refuse(why, ENOMEM, "no memory");
		return NULL;
	}
	pthread_mutex_init(&rt->lock, NULL);
	pthread_mutex_init(&rt->start_lock, NULL);
	pthread_cond_init(&rt->start_moved, NULL);
	if (!open_all(rt, config, why))
		return &rt->base;
	error = errno;
	if (rt->guarded)
		guard_close();
	free_all(rt);
	errno = error;
	return NULL;
}

EXPORT int umcg_sched_destroy(struct umcg_sched *s)
{
	struct runtime *rt = runtime_of(s);

	if (umcg_destroy_group(rt->group))
		return -1;
	slots_close(rt);
	if (rt->guarded)
		guard_close();
	free_all(rt);
	return 0;
}
