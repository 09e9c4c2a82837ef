// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The report of a policy that is wrong: the thread, the server that had it last, all states,
 * the policy's own dump. Written without malloc and stdio.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

#define SHOWN	64	/* threads of each state that are listed */

static const char *const inside_text[] = {
	[OUTSIDE] = "none of its functions", [IN_INIT] = "init()", [IN_READY] = "ready()",
	[IN_NEXT] = "next()", [IN_STOPPED] = "stopped()", [IN_SLICE] = "slice()",
	[IN_BEFORE] = "before()", [IN_DUMP] = "dump()",
};

#define say(rt, ...)	umcg_print(&(rt)->base, __VA_ARGS__)

/* Seconds between then and now. */
static double ago(struct runtime *rt, uint64_t then)
{
	uint64_t now = umcg_get_time_ns();

	(void)rt;
	return now > then ? (double)(now - then) / 1e9 : 0;
}

static void say_name(struct runtime *rt, const struct thread *t)
{
	char path[64], name[32];
	ssize_t length = -1;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%d/comm", t->tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		length = read(fd, name, sizeof(name) - 1);
		close(fd);
	}
	if (length > 0 && name[length - 1] == '\n')
		length--;
	say(rt, "thread %u (tid %d%s%.*s)", t->pub.id, t->tid, length > 0 ? ", " : "",
	    length > 0 ? (int)length : 0, name);
}

static void say_holder(struct runtime *rt, const struct thread *t)
{
	if (t->pub.server == UMCG_NO_SERVER)
		say(rt, "no server has had it yet");
	else if (t->pub.state == UMCG_SCHED_RUNNING)
		say(rt, "server %u has it", t->pub.server);
	else
		say(rt, "server %u had it last, from %.3f s ago", t->pub.server, ago(rt, t->pub.turn_ns));
}

static void say_thread(struct runtime *rt, const struct thread *t)
{
	uint64_t since = t->pub.state == UMCG_SCHED_READY ? t->pub.ready_ns : t->pub.turn_ns;

	say(rt, "  ");
	say_name(rt, t);
	say(rt, ": %s", umcg_state_text(t->pub.state));
	if (t->pub.state == UMCG_SCHED_READY || t->pub.state == UMCG_SCHED_RUNNING)
		say(rt, " since %.3f s", ago(rt, since));
	say(rt, "; ");
	say_holder(rt, t);
	say(rt, "; %llu turns\n", (unsigned long long)t->stats.turns);
}

static void say_servers(struct runtime *rt)
{
	for (uint32_t i = 0; i < rt->base.servers; i++) {
		struct server *server = &rt->servers[i];
		struct umcg_sched_thread *pub = rt->base.running[i];

		if (!server->there)
			say(rt, "  server %u: not there\n", i);
		else if (pub)
			say(rt, "  server %u (tid %d): runs thread %u since %.3f s\n", i,
			    server->actor.tid, pub->id, ago(rt, pub->turn_ns));
		else if (server->sleep == SLEEPING)
			say(rt, "  server %u (tid %d): sleeps since %.3f s\n", i, server->actor.tid,
			    ago(rt, server->since_ns));
		else if (server->vacant)
			say(rt, "  server %u (tid %d): nobody has its place since %.3f s\n", i,
			    server->actor.tid, ago(rt, server->since_ns));
		else
			say(rt, "  server %u (tid %d): looks for a thread\n", i, server->actor.tid);
	}
}

static void say_threads(struct runtime *rt)
{
	static const uint8_t states[] = { UMCG_SCHED_READY, UMCG_SCHED_RUNNING, UMCG_SCHED_BLOCKED };

	for (size_t i = 0; i < sizeof(states); i++) {
		uint32_t there = 0;

		for (uint32_t j = 0; j < rt->used_slots; j++) {
			struct thread *t = slot_at(rt, j);

			if (load(&t->task) != UMCG_NONE && t->pub.state == states[i] && there++ < SHOWN)
				say_thread(rt, t);
		}
		if (there > SHOWN)
			say(rt, "  and %u more that are %s\n", there - SHOWN, umcg_state_text(states[i]));
	}
}

/* The policy may crash here, too; then its dump ends there. */
static void say_dump(struct runtime *rt)
{
	struct actor *self = umcg_sched_actor;
	sigjmp_buf outer;

	say(rt, "  policy %s says:", rt->base.policy->name);
	if (!rt->base.policy->dump) {
		say(rt, " nothing, it has no dump()\n");
		return;
	}
	say(rt, "\n");
	memcpy(outer, self->env, sizeof(outer));
	if (!sigsetjmp(self->env, 0)) {
		policy_dump(rt);
	} else {
		atomic_store(&self->inside, OUTSIDE);
		say(rt, "\n  (and crashed in dump())\n");
	}
	memcpy(self->env, outer, sizeof(outer));
}

static void write_all(const char *text, size_t length)
{
	while (length) {
		ssize_t written = write(STDERR_FILENO, text, length);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return;
		text += written;
		length -= (size_t)written;
	}
}

static void say_crash(struct runtime *rt, enum umcg_fault fault, const struct actor *where)
{
	uint32_t inside = fault == UMCG_FAULT_CRASHED ? where->last_inside : atomic_load(&where->inside);

	if (fault == UMCG_FAULT_ERROR && rt->error)
		say(rt, ": %s", rt->error);
	if (fault == UMCG_FAULT_CRASHED)
		say(rt, " (signal %d, address %p)", where->signal, where->address);
	if (fault == UMCG_FAULT_CRASHED || fault == UMCG_FAULT_STUCK)
		say(rt, " in %s, called by %s (tid %d)", inside_text[inside], where->name, where->tid);
}

/*
 * Under lock, or without where a policy that does not come back has it. @t: the
 * thread it is about, or NULL; @where: the caller of the policy.
 */
void report_policy(struct runtime *rt, enum umcg_fault fault, struct thread *t,
		   const struct actor *where)
{
	struct umcg_sched_report report = {
		.fault = fault, .text = rt->report, .policy = rt->base.policy->name,
		.thread = UINT32_MAX, .server = UMCG_NO_SERVER,
	};

	if (!t && where)
		t = atomic_load(&where->about);
	rt->report_length = 0;
	say(rt, "umcg-sched: policy %s %s", report.policy, umcg_fault_text(fault));
	if (where)
		say_crash(rt, fault, where);
	say(rt, "\n");
	if (t) {
		report.thread = t->pub.id;
		report.tid = t->tid;
		report.server = t->pub.server;
		say(rt, "  It is about:\n");
		say_thread(rt, t);
	} else {
		say(rt, "  It is about no thread, but what %s asked for.\n", where ? where->name : "nobody");
	}
	say(rt, "  %u threads, %u of them ready; %llu turns so far:\n", rt->base.threads, rt->base.ready,
	    (unsigned long long)rt->turns);
	say_servers(rt);
	say_threads(rt);
	say_dump(rt);
	say(rt, "  From here on policy rr schedules these threads.\n");
	if (!(rt->config.flags & UMCG_SCHED_NO_STDERR) || !rt->config.fault)
		write_all(rt->report, rt->report_length);
	count(&rt->stats.faults, 1);
	emit(rt, UMCG_SCHED_EVENT_FAULT, t, report.server, fault, 0);
	if (rt->config.fault)
		rt->config.fault(rt->config.arg, &report);
}
