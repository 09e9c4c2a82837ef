// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Threads that say themselves where and how they run, and page faults that threads serve. */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "same.h"

#define THREADS	6
#define PAGE	4096UL
#define PAGES	32

static atomic_long done;

static void together(void *(*body)(void *arg), int n)
{
	pthread_t threads[THREADS];

	for (int i = 0; i < n; i++)
		MUST(!pthread_create(&threads[i], NULL, body, (void *)(intptr_t)i));
	for (int i = 0; i < n; i++)
		MUST(!pthread_join(threads[i], NULL));
}

/* A thread that has asked for a CPU is on it when the call is over. */
static void *moves(void *arg)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	for (long i = 0; i < 30; i++) {
		int cpu = (int)((i + (intptr_t)arg) % cpus);
		cpu_set_t set;

		CPU_ZERO(&set);
		CPU_SET(cpu, &set);
		MUST(!pthread_setaffinity_np(pthread_self(), sizeof(set), &set));
		MUST(sched_getcpu() == cpu);
		done++;
		if (!(i % 5))
			usleep(200);
	}
	return NULL;
}

static int affinity(void)
{
	together(moves, THREADS);
	printf("%ld moves\n", (long)done);
	return 0;
}

static void *changes_class(void *arg)
{
	long i = (intptr_t)arg;
	struct sched_param param = { .sched_priority = i % 2 ? 5 : 0 }, now;
	int class = i % 2 ? SCHED_RR : SCHED_IDLE, got;

	MUST(!pthread_setschedparam(pthread_self(), class, &param));
	MUST(!pthread_getschedparam(pthread_self(), &got, &now) && got == class);
	MUST(!setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), (int)i * 3));
	for (int k = 0; k < 20; k++) {
		done++;
		usleep(300);
		for (volatile int j = 0; j < 10000; j++)
			;
	}
	MUST(getpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid)) == (int)i * 3);
	return NULL;
}

static int classes(void)
{
	together(changes_class, THREADS);
	printf("%ld pieces\n", (long)done);
	return 0;
}

static int faults;
static char *area;

static void *serves_pages(void *arg)
{
	static char page[PAGE] __attribute__((aligned(4096)));

	for (int served = 0; served < PAGES;) {
		struct uffd_msg message;
		struct uffdio_copy copy = { .src = (unsigned long)page, .len = PAGE };

		MUST(poll(&(struct pollfd){ .fd = faults, .events = POLLIN }, 1, -1) == 1);
		if (read(faults, &message, sizeof(message)) != sizeof(message))
			continue;
		memset(page, 'A' + served % 20, PAGE);
		copy.dst = message.arg.pagefault.address & ~(PAGE - 1);
		MUST(!ioctl(faults, UFFDIO_COPY, &copy) || errno == EEXIST);
		served++;
	}
	return arg;
}

static void *touches(void *arg)
{
	for (unsigned long i = 0; i < PAGES / 4; i++)
		MUST(((volatile char *)area)[PAGE * ((unsigned long)(intptr_t)arg * PAGES / 4 + i)] >= 'A');
	return NULL;
}

/* Faults of scheduled threads, served by a scheduled thread. */
static int page_faults(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	pthread_t server;

	faults = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (faults < 0) {
		puts("no userfaultfd here");
		return 0;
	}
	MUST(!ioctl(faults, UFFDIO_API, &api));
	area = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	MUST(area != MAP_FAILED);
	range.range.start = (unsigned long)area;
	range.range.len = PAGES * PAGE;
	MUST(!ioctl(faults, UFFDIO_REGISTER, &range));
	MUST(!pthread_create(&server, NULL, serves_pages, NULL));
	together(touches, 4);
	MUST(!pthread_join(server, NULL));
	puts("all pages are there");
	return 0;
}

/* A stop and a continue from outside, while threads run and sleep. */
static void *works(void *arg)
{
	for (int i = 0; i < 50; i++) {
		usleep(500);
		for (volatile int j = 0; j < 20000; j++)
			;
		done++;
	}
	return arg;
}

static int stops(void)
{
	pid_t pid, parent = getpid();
	int status;

	fflush(NULL);
	pid = fork();
	if (!pid) {
		for (int i = 0; i < 5; i++) {
			usleep(3000);
			kill(parent, SIGSTOP);
			usleep(1000);
			kill(parent, SIGCONT);
		}
		_exit(0);
	}
	together(works, THREADS);
	MUST(waitpid(pid, &status, 0) == pid && !status);
	printf("%ld pieces\n", (long)done);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct same_case cases[] = {
		{ "affinity", affinity }, { "classes", classes }, { "page_faults", page_faults },
		{ "stops", stops }, { NULL, NULL },
	};

	return same_main(argc, argv, cases);
}
