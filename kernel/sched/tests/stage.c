// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stage.h"

static struct umcg_choice choice;
static struct umcg_sched sched;
static char *memory;			/* of the threads */
static size_t stride;
static uint64_t seq;
static struct umcg_sched_thread *running[STAGE_SERVERS];
static char said[4096], why_not[UMCG_SENTENCE];
static size_t said_length;
unsigned int stage_kicks[STAGE_SERVERS];

void stage_fail(const char *file, int line, const char *cond, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fprintf(stderr, "%s:%d: %s: ", file, line, cond);
	vfprintf(stderr, format, args);
	fprintf(stderr, "\n");
	va_end(args);
	exit(1);
}

static void kick(struct umcg_sched *s, uint32_t server, uint32_t how)
{
	(void)s;
	(void)how;
	CHECK(server < sched.servers, "kick of server %u", server);
	stage_kicks[server]++;
}

__attribute__((format(printf, 2, 3)))
static void say(struct umcg_sched *s, const char *format, ...)
{
	va_list args;

	(void)s;
	va_start(args, format);
	said_length += (size_t)vsnprintf(said + said_length, sizeof(said) - said_length, format, args);
	va_end(args);
	CHECK(said_length < sizeof(said), "the policy says too much");
}

static const struct umcg_sched_host host = { .kick = kick, .error = say, .print = say };

static void close_stage(void)
{
	free(memory);
	free(sched.policy_data);
	free(sched.server_data);
	umcg_unchoose(&choice);
	memset(&sched, 0, sizeof(sched));
	memset(running, 0, sizeof(running));
	memset(stage_kicks, 0, sizeof(stage_kicks));
	memory = NULL;
	said[said_length = 0] = '\0';
}

void stage_renew(char name)
{
	struct umcg_sched_thread *t = stage_thread(name);

	memset(t, 0, stride);
	t->id = (uint32_t)(name - 'A');
	t->seq = seq++;
	t->weight = UMCG_WEIGHT_NORMAL;
	t->server = UMCG_NO_SERVER;
}

/* NULL, or what is wrong with it. */
static const char *try(const char *text, uint32_t servers)
{
	const struct umcg_policy *policy;

	close_stage();
	if (umcg_choose(text, &choice, why_not))
		return why_not;
	policy = choice.policy;
	CHECK(!umcg_policy_check(policy, "stage", why_not), "%s", why_not);
	stride = (sizeof(struct umcg_sched_thread) + policy->thread_size + 7) & ~(size_t)7;
	memory = calloc(STAGE_THREADS, stride);
	sched = (struct umcg_sched){
		.host = &host, .policy = policy, .servers = servers, .running = running,
		.flags = policy->flags, .random = 1,
		.policy_data = calloc(1, policy->sched_size + 1),
		.server_data = calloc(servers, ((size_t)policy->server_size + 7) & ~(size_t)7),
	};
	seq = 0;
	for (uint32_t i = 0; i < STAGE_THREADS; i++)
		stage_renew((char)('A' + i));
	if (umcg_policy_options(policy, choice.options, sched.policy_data, why_not))
		return why_not;
	return policy->init && policy->init(&sched) ? said : NULL;
}

void stage_open(const char *text, uint32_t servers)
{
	const char *wrong = try(text, servers);

	CHECK(!wrong, "%s: %s", text, wrong);
}

const char *stage_refused(const char *text)
{
	const char *wrong = try(text, 1);

	CHECK(wrong, "%s was not refused", text);
	return wrong;
}

struct umcg_sched_thread *stage_thread(char name)
{
	return (struct umcg_sched_thread *)(void *)(memory + (size_t)(name - 'A') * stride);
}

struct umcg_sched *stage_sched(void)
{
	return &sched;
}

void stage_time(uint64_t us)
{
	sched.now_ns = us * 1000;
}

static void be_ready(struct umcg_sched_thread *t, enum umcg_why why)
{
	sched.threads += t->state == UMCG_SCHED_NONE;
	t->state = UMCG_SCHED_READY;
	t->ready_ns = sched.now_ns;
	sched.ready++;
	sched.policy->ready(&sched, t, why);
}

void stage_ready(const char *names, enum umcg_why why)
{
	for (; *names; names++)
		be_ready(stage_thread(*names), why);
}

char stage_next(uint32_t server)
{
	struct umcg_sched_thread *t = sched.policy->next(&sched, server);

	CHECK(!running[server], "server %u is busy", server);
	if (!t)
		return '-';
	CHECK(t->state == UMCG_SCHED_READY, "thread %u is %s", t->id, umcg_state_text(t->state));
	t->state = UMCG_SCHED_RUNNING;
	t->turn_ns = sched.now_ns;
	t->server = server;
	running[server] = t;
	sched.ready--;
	return (char)('A' + t->id);
}

void stage_stop(char name, enum umcg_why why)
{
	struct umcg_sched_thread *t = stage_thread(name);
	uint64_t ran = sched.now_ns - t->turn_ns;

	CHECK(t->state == UMCG_SCHED_RUNNING, "%c is %s", name, umcg_state_text(t->state));
	t->state = why == UMCG_WHY_ENDED ? UMCG_SCHED_NONE : UMCG_SCHED_BLOCKED;
	t->service_ns += ran;
	t->request_service_ns += ran;
	running[t->server] = NULL;
	if (sched.policy->stopped)
		sched.policy->stopped(&sched, t, why, ran);
	if (why == UMCG_WHY_PREEMPTED || why == UMCG_WHY_EXPIRED || why == UMCG_WHY_YIELDED)
		be_ready(t, why);
}

const char *stage_turns(unsigned int turns, uint64_t slice_us)
{
	static char order[1024];

	CHECK(turns < sizeof(order), "%u turns", turns);
	for (unsigned int i = 0; i < turns; i++) {
		order[i] = stage_next(0);
		sched.now_ns += slice_us * 1000;
		if (order[i] != '-')
			stage_stop(order[i], UMCG_WHY_EXPIRED);
	}
	order[turns] = '\0';
	return order;
}

const char *stage_dump(void)
{
	said[said_length = 0] = '\0';
	sched.policy->dump(&sched);
	return said;
}
