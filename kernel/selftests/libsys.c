// SPDX-License-Identifier: MIT
/* Threads, CPUs, clocks and files. */
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>

#include "libraw.h"

pthread_t spawn(void *(*fn)(void *arg), void *arg)
{
	pthread_attr_t attr;
	pthread_t t;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 64 * 1024);
	CHECK_EQ(pthread_create(&t, &attr, fn, arg), 0);
	pthread_attr_destroy(&attr);
	return t;
}

void join(pthread_t t)
{
	CHECK_EQ(pthread_join(t, NULL), 0);
}

/* The CPUs of the process when it first asked; pin() narrows only threads. */
static const cpu_set_t *allowed(void)
{
	static cpu_set_t set;
	static bool known;

	if (!known) {
		CHECK_EQ(sched_getaffinity(0, sizeof(set), &set), 0);
		known = true;
	}
	return &set;
}

int cpus(void)
{
	return CPU_COUNT(allowed());
}

void need_cpus(int n)
{
	if (cpus() < n)
		raw_skip("needs %d CPUs, has %d", n, cpus());
}

/* The set of the @nth CPU alone. */
static cpu_set_t nth_cpu(int nth)
{
	const cpu_set_t *all = allowed();
	cpu_set_t one;
	int cpu;

	nth %= CPU_COUNT(all);
	for (cpu = 0; !CPU_ISSET(cpu, all) || nth--; cpu++)
		;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	return one;
}

void pin(pid_t tid, int nth)
{
	cpu_set_t one = nth_cpu(nth);

	/* ESRCH: the thread has ended meanwhile, and needs no CPU. */
	CHECK(sched_setaffinity(tid, sizeof(one), &one) == 0 || errno == ESRCH);
}

void pin_thread(pthread_t t, int nth)
{
	cpu_set_t one = nth_cpu(nth);

	CHECK_EQ(pthread_setaffinity_np(t, sizeof(one), &one), 0);
}

void unpin(pid_t tid)
{
	CHECK_EQ(sched_setaffinity(tid, sizeof(cpu_set_t), allowed()), 0);
}

uint64_t now_ns(clockid_t clock)
{
	struct timespec ts;

	CHECK_EQ(clock_gettime(clock, &ts), 0);
	return ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

char *task_file(pid_t tid, const char *file, char *buf, size_t size)
{
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%d/%s", tid, file);
	buf[0] = 0;
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return buf;
	n = read(fd, buf, size - 1);
	close(fd);
	buf[n > 0 ? n : 0] = 0;
	return buf;
}

char task_stat(pid_t tid)
{
	char buf[256], *p = strrchr(task_file(tid, "stat", buf, sizeof(buf)), ')');

	return p ? p[2] : 0;
}

/*
 * The state alone does not tell it: who is about to sleep, and still looks
 * whether there is a reason not to, has the letter of a sleeper already.
 * "syscall" waits until such a thread has left the CPU or come back.
 */
bool asleep(pid_t tid)
{
	char buf[256], c = task_stat(tid);

	if (!c || c == 'R')
		return false;
	task_file(tid, "syscall", buf, sizeof(buf));
	return buf[0] && strncmp(buf, "running", 7) != 0;
}

uint64_t cpu_ns(pid_t tid)
{
	clockid_t clock = (~(clockid_t)tid << 3) | 4 | 2;	/* thread, scheduler's count */

	return now_ns(clock);
}

void *map_pages(size_t pages, int extra_flags)
{
	int kind = extra_flags & MAP_SHARED ? 0 : MAP_PRIVATE;
	void *p = mmap(NULL, pages * 4096, PROT_READ | PROT_WRITE,
		       MAP_ANONYMOUS | kind | extra_flags, -1, 0);

	CHECK(p != MAP_FAILED);
	return p;
}

void write_file(const char *path, const char *fmt, ...)
{
	char buf[256];
	va_list ap;
	int fd, n;

	va_start(ap, fmt);
	n = vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	fd = open(path, O_WRONLY);
	if (fd < 0 || write(fd, buf, n) != n)
		FAIL("cannot write '%s' to %s: %s", buf, path, strerror(errno));
	close(fd);
}

const char *mount_private(const char *type)
{
	static char path[64];

	CHECK_EQ(unshare(CLONE_NEWNS), 0);
	/* Fails harmlessly where / is no mount point of its own namespace kind. */
	mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL);
	mkdir("/tmp", 0777);
	snprintf(path, sizeof(path), "/tmp/umcg-%s", type);
	mkdir(path, 0700);
	if (mount(type, path, type, 0, NULL))
		FAIL("cannot mount %s on %s: %s", type, path, strerror(errno));
	return path;
}

void nap(uint64_t ns)
{
	struct timespec ts = { ns / NS_PER_S, ns % NS_PER_S };

	nanosleep(&ts, NULL);
}

uint32_t raw_random(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}
