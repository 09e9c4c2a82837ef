// SPDX-License-Identifier: MIT
/* Tracepoints: each event exists, fires, and names the right threads. */
#include <fcntl.h>
#include <signal.h>

#include "libraw.h"

static const char * const events[] = {
	"register", "unregister", "block", "wake", "run", "switch", "preempt",
	"timeout", "violation",
};

static const char *root;
static struct pool pool;
static struct server s;
static struct worker w;

static void control(const char *name, const char *value)
{
	char path[200];

	snprintf(path, sizeof(path), "%s/%s", root, name);
	write_file(path, "%s", value);
}

static void steps(struct worker *self)
{
	worker_yield(self);
	worker_nap(self);
	state_set(&self->rec, RUNNING, RUNNING | PREEMPTED);
	sys_kick(0, self->tid);
	CHECK_EQ(worker_park(self, NULL, now_ns(CLOCK_MONOTONIC) + NS_PER_MS), -ETIMEDOUT);
}

static void bad_worker(struct worker *self)
{
	self->rec.next_tid = 0;
	pause();
}

static void violates(void *arg)
{
	static struct pool own;
	static struct server server;
	static struct worker bad;

	(void)arg;
	server_register(&server, &own);
	worker_start(&bad, &own, bad_worker, NULL);
	server_expect(&server, &bad);
	server_run(&server, &bad);
	await_death();
}

static char *trace_text(void)
{
	static char text[1 << 20];
	char path[200];
	size_t len = 0;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/trace", root);
	fd = open(path, O_RDONLY);
	CHECK(fd >= 0);
	while (len < sizeof(text) - 1 && (n = read(fd, text + len, sizeof(text) - 1 - len)) > 0)
		len += n;
	close(fd);
	text[len] = 0;
	return text;
}

/* Is there a line of event @name that tells of thread @tid? */
static bool told(char *text, const char *name, pid_t tid)
{
	char want_event[64], want_tid[32];

	snprintf(want_event, sizeof(want_event), ": umcg_%s: ", name);
	snprintf(want_tid, sizeof(want_tid), "tid=%d ", tid);
	for (char *line = text; line && *line; line = strchr(line, '\n')) {
		char *end, *at;

		line += *line == '\n';
		end = strchr(line, '\n');
		at = strstr(line, want_event);
		if (!at || (end && at > end))
			continue;
		at = strstr(at, want_tid);
		if (at && (!end || at < end))
			return true;
	}
	return false;
}

int main(void)
{
	bool of_worker[] = { true, false, true, true, true, false, true, true };
	char *text;

	raw_start();
	if (getuid())
		raw_skip("needs root, to read the trace");
	if (access("/sys/kernel/tracing", F_OK) && access("/sys/kernel/debug", F_OK))
		raw_skip("no tracing in this kernel (CONFIG_EVENT_TRACING)");
	root = mount_private("tracefs");
	control("tracing_on", "0");
	control("trace", "");
	control("events/umcg/enable", "1");
	control("tracing_on", "1");

	server_register(&s, &pool);
	worker_start(&w, &pool, steps, NULL);
	server_loop(&s);
	worker_join(&w);
	server_unregister(&s);
	check_dies(violates, NULL, SIGSEGV, "a worker without a server");

	control("tracing_on", "0");
	control("events/umcg/enable", "0");
	text = trace_text();
	for (size_t i = 0; i < sizeof(of_worker); i++)
		if (!told(text, events[i], of_worker[i] ? w.tid : s.tid))
			FAIL("no umcg_%s of thread %d in the trace:\n%.4000s", events[i],
			     of_worker[i] ? w.tid : s.tid, text);
	if (!strstr(text, ": umcg_violation: "))
		FAIL("no umcg_violation in the trace");
	return 0;
}
