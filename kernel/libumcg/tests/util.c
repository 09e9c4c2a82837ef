// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#include <sched.h>
#include <stdarg.h>
#include <time.h>

#include "util.h"

#ifdef __SANITIZE_THREAD__
/* The tests' children start threads, too; and a child's report must not go unnoticed. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
	return "die_after_fork=0:halt_on_error=1";
}
#endif

#define MAX_SHOWN	64

static char **test_argv;
static int test_argc;
static atomic_intptr_t shown[MAX_SHOWN];
static atomic_int tasks;

static void show_tasks(void)
{
	for (int i = 0; i < tasks && i < MAX_SHOWN; i++) {
		uint64_t state = umcg_get_task_state(shown[i]);

		if (state)
			fprintf(stderr, "task %lx state %lx\n", (long)shown[i], (long)state);
	}
}

__attribute__((noreturn))
static void vfail(const char *file, int line, const char *cond, const char *format,
		  va_list args)
{
	int error = errno;

	fprintf(stderr, "%s:%d: %s%s", file, line, cond, *cond ? ": " : "");
	vfprintf(stderr, format, args);
	fprintf(stderr, " (errno: %s)\n", strerror(error));
	show_tasks();
	_exit(1);
}

void test_check(const char *file, int line, const char *cond, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfail(file, line, cond, format, args);
}

void test_fail(const char *file, int line, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfail(file, line, "", format, args);
}

void test_call(const char *file, int line, const char *what, int ret, int error)
{
	if (error ? ret == -1 && errno == error : ret == 0)
		return;
	test_fail(file, line, "%s returned %d, wanted %s", what, ret,
		  error ? strerror(error) : "success");
}

static atomic_bool watching;

/* Not a signal: its handler might have to wait for a worker to be run. */
static void *watchdog(void *arg)
{
	long limit = (long)arg;
	uint64_t end = umcg_get_time_ns() + (uint64_t)limit * 1000 * MS;

	watching = true;
	/* A sleep ends early with the C library's signals, which setgid() sends to every thread. */
	while (umcg_get_time_ns() < end)
		sleep(1);
	fprintf(stderr, "not done after %ld s\n", limit);
	show_tasks();
	_exit(1);
	return NULL;
}

void test_pin(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	CHECK(!sched_setaffinity(0, sizeof(set), &set), "sched_setaffinity");
}

void test_begin(int argc, char **argv)
{
	const char *limit = getenv("LIMIT");
	long seconds = limit ? strtol(limit, NULL, 10) : 60;
	pthread_t thread;

	if (getenv("PIN"))
		test_pin();
	test_argc = argc;
	test_argv = argv;
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!umcg_enabled()) {
		printf("this kernel has no UMCG\n");
		exit(77);
	}
	pthread_create(&thread, NULL, watchdog, (void *)seconds);
	pthread_detach(thread);
	/*
	 * A thread that starts may hold locks of a sanitizer's runtime, and a child
	 * that the test forks meanwhile would never get them.
	 */
	while (!watching)
		test_nap(MS / 10);
}

/* How long the program's name is without the end that says that places pass on. */
static int plain_length(void)
{
	int length = strlen(program_invocation_short_name);

	return length > 5 && !strcmp(program_invocation_short_name + length - 5, "_pass") ? length - 5 : length;
}

long test_size(const char *name, int index, long otherwise)
{
	const char *value;
	char variable[64];

	snprintf(variable, sizeof(variable), "%.*s_%s", plain_length(), program_invocation_short_name, name);
	value = index < test_argc ? test_argv[index] : getenv(variable);
	return value ? strtol(value, NULL, 0) : otherwise;
}

pthread_t test_spawn(void *(*run)(void *arg), void *arg)
{
	pthread_attr_t attr;
	pthread_t thread;
	int error;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 256 * 1024);
	error = pthread_create(&thread, &attr, run, arg);
	if (error)
		FAIL("pthread_create: %s", strerror(error));
	pthread_attr_destroy(&attr);
	return thread;
}

void test_join(pthread_t thread)
{
	int error = pthread_join(thread, NULL);

	if (error)
		FAIL("pthread_join: %s", strerror(error));
}

umcg_tid test_task(umcg_tid utid)
{
	int n = atomic_fetch_add(&tasks, 1);

	CHECK(utid != UMCG_NONE, "registering failed");
	if (n < MAX_SHOWN)
		shown[n] = utid;
	return utid;
}

void test_nap(uint64_t ns)
{
	struct timespec ts = { .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };

	while (nanosleep(&ts, &ts))
		;
}

/* Polls with a sleep: others may need this CPU. */
void test_state(umcg_tid utid, uint64_t state)
{
	while (umcg_get_task_state(utid) != state)
		test_nap(MS / 5);
}

static void read_proc(int tid, const char *name, char *line, int size)
{
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/%s", tid, name);
	file = fopen(path, "r");
	if (!file || !fgets(line, size, file))
		_exit(1);
	fclose(file);
}

char test_proc_state(int tid)
{
	char line[256], *at;

	read_proc(tid, "stat", line, sizeof(line));
	at = strrchr(line, ')');
	return at ? at[2] : 0;
}

/* Who is about to sleep has a sleeper's letter, and may still look; "syscall" waits for the end of that. */
static bool is_asleep(int tid)
{
	char line[256];

	if (test_proc_state(tid) == 'R')
		return false;
	read_proc(tid, "syscall", line, sizeof(line));
	return strncmp(line, "running", 7) != 0;
}

void test_asleep(umcg_tid utid, int tid)
{
	while (umcg_get_task_state(utid) != UMCG_TASK_IDLE || !is_asleep(tid))
		test_nap(MS / 5);
}

void test_await(atomic_int *value, int wanted)
{
	while (atomic_load(value) != wanted)
		test_nap(MS / 5);
}

uint64_t test_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

bool test_passes_on(void)
{
	return getenv("PASS_ON") || program_invocation_short_name[plain_length()];
}

umcg_t test_group(uint32_t flags)
{
	return umcg_create_group(flags | (test_passes_on() ? UMCG_GROUP_PASS_ON : 0));
}

void place_begin(struct place *p, uint32_t flags, int workers)
{
	memset(p, 0, sizeof(*p));
	p->group = test_group(flags);
	CHECK(p->group != UMCG_NONE, "umcg_create_group");
	p->alive = workers;
}

/* Servers that sleep for work are told that there is no more. */
static void wake_servers(struct place *p, umcg_tid self)
{
	atomic_store(&p->stop, true);
	for (int i = 0; i < p->servers; i++)
		if (p->server[i] && p->server[i] != self &&
		    umcg_wake(p->server[i], false) && errno != ESRCH)
			FAIL("waking a server");
}

/* The place is back from @r; UMCG_NONE: from one that has left. The worker to be run next, if any. */
static umcg_tid came_back(struct place *p, umcg_tid self, umcg_tid r)
{
	uint64_t state;

	if (!r) {
		if (atomic_fetch_sub(&p->alive, 1) == 1)
			wake_servers(p, self);
		return UMCG_NONE;
	}
	state = umcg_get_task_state(r);
	if (umcg_is_preempted(r)) {
		/* One goes on at once, the next takes its turn. */
		if (!(atomic_fetch_add(&p->preempted, 1) % 2))
			return r;
		CHECK_CALL(umcg_put_idle_worker(r), 0);
	} else if (state & UMCG_UTF_WORKER_IN_WAIT) {
		p->yielded++;
	} else {
		p->blocked++;
	}
	return UMCG_NONE;
}

void place_serve(struct place *p)
{
	umcg_tid self = test_task(umcg_register_server(p->group, 0)), w, r;
	int me = atomic_fetch_add(&p->servers, 1);
	bool offers = false;

	atomic_store(&p->server[me], self);
	while (!p->stop && p->alive > 0) {
		/* Every other time, where places pass on, it offers its place. */
		offers = !offers && test_passes_on();
		w = umcg_get_idle_worker(!offers);
		if (!w && offers) {
			r = umcg_offer_place();
			CHECK(r || !errno || errno == EINTR || errno == EBUSY, "umcg_offer_place");
			if (r || !errno)
				w = came_back(p, self, r);
			else
				p->interrupted++;
		} else if (!w) {
			CHECK(errno == EINTR, "umcg_get_idle_worker");
			p->interrupted++;
		}
		while (w) {
			r = umcg_run_worker(w);
			CHECK(r || !errno, "umcg_run_worker");
			w = came_back(p, self, r);
		}
	}
	CHECK_CALL(umcg_unregister_task(), 0);
}

static void *serve(void *arg)
{
	place_serve(arg);
	return NULL;
}

pthread_t place_server(struct place *p)
{
	return test_spawn(serve, p);
}

void place_end(struct place *p)
{
	CHECK(p->alive == 0, "%d workers left", p->alive);
	CHECK_CALL(umcg_destroy_group(p->group), 0);
}

void place_run(struct place *p, int servers, int workers, void *(*run)(void *arg))
{
	pthread_t *threads = calloc((size_t)(servers + workers), sizeof(*threads));

	for (int i = 0; i < workers; i++)
		threads[i] = test_spawn(run, p);
	for (int i = 0; i < servers; i++)
		threads[workers + i] = place_server(p);
	for (int i = 0; i < servers + workers; i++)
		test_join(threads[i]);
	free(threads);
}
