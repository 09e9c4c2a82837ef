// SPDX-License-Identifier: MIT
/*
 * A core dump of a process with workers in every state: it is written, has every
 * thread in it, and the process is gone; no thread that waits for a server is waited for.
 */
#include <elf.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "libraw.h"

enum { LISTED, PARKED_ONE, BLOCKED_ONE, PREEMPTED_ONE, RUNS, WORKERS };

static struct pool pool;
static struct server s, runner;
static struct worker w[WORKERS];
static int fds[2];
static volatile bool runs;
static volatile int *threads;		/* shared: how many there are when it dies */

static void parks(struct worker *self)
{
	worker_park(self, NULL, 0);
}

static void reads(struct worker *self)
{
	char byte;

	self->count = read(fds[0], &byte, 1);
}

static void is_marked(struct worker *self)
{
	state_set(&self->rec, RUNNING, RUNNING | PREEMPTED);
	sys_kick(0, self->tid);
	for (;;)
		;
}

static void spins(struct worker *self)
{
	(void)self;
	runs = true;
	for (;;)
		;
}

/* The server that sleeps while its worker runs. */
static void *serves(void *arg)
{
	(void)arg;
	server_register(&runner, &pool);
	server_start_run(&runner, &w[RUNS]);
	sys_wait(0, 0);
	FAIL("the worker that spins has given up");
}

static void start(int i, void (*fn)(struct worker *self))
{
	worker_start(&w[i], &pool, fn, NULL);
	server_expect(&s, &w[i]);
	if (i == LISTED || i == RUNS)
		return;
	/* Until it stands where it shall, whatever it blocks for on its way. */
	while (server_run(&s, &w[i]), worker_on_list(&w[i]) && state_of(&w[i].rec) != (IDLE | PREEMPTED))
		server_expect(&s, &w[i]);
}

static void dies(void *arg)
{
	struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };

	CHECK_EQ(setrlimit(RLIMIT_CORE, &unlimited), 0);
	CHECK_EQ(chdir(arg), 0);
	CHECK_EQ(pipe(fds), 0);
	server_register(&s, &pool);
	start(LISTED, reads);
	start(PARKED_ONE, parks);
	start(BLOCKED_ONE, reads);
	start(PREEMPTED_ONE, is_marked);
	start(RUNS, spins);
	spawn(serves, NULL);
	WAIT_FOR(runs);
	WAIT_FOR(asleep(w[BLOCKED_ONE].tid) && asleep(w[PREEMPTED_ONE].tid));
	CHECK_STATE(&w[LISTED].rec, IDLE);
	CHECK_EQ(state_of(&w[PARKED_ONE].rec) & UMCG_TASK_STATE_MASK, IDLE);
	CHECK_STATE(&w[BLOCKED_ONE].rec, BLOCKED);
	CHECK_STATE(&w[PREEMPTED_ONE].rec, IDLE | PREEMPTED);
	*threads = WORKERS + 2;
	abort();
}

/* Notes of one thread each in the core file @path. */
static int threads_in(const char *path)
{
	static char notes[1 << 20];
	Elf64_Ehdr head;
	Elf64_Phdr segment;
	FILE *f = fopen(path, "r");
	int n = 0;

	if (!f)
		FAIL("no core file: %s", strerror(errno));
	CHECK_EQ(fread(&head, sizeof(head), 1, f), 1);
	CHECK(!memcmp(head.e_ident, ELFMAG, SELFMAG) && head.e_type == ET_CORE);
	for (int i = 0; i < head.e_phnum; i++) {
		CHECK_EQ(fseek(f, head.e_phoff + i * sizeof(segment), SEEK_SET), 0);
		CHECK_EQ(fread(&segment, sizeof(segment), 1, f), 1);
		if (segment.p_type != PT_NOTE)
			continue;
		CHECK(segment.p_filesz <= sizeof(notes));
		CHECK_EQ(fseek(f, segment.p_offset, SEEK_SET), 0);
		CHECK_EQ(fread(notes, segment.p_filesz, 1, f), 1);
		for (size_t at = 0; at < segment.p_filesz;) {
			Elf64_Nhdr *note = (void *)(notes + at);

			n += note->n_type == NT_PRSTATUS;
			at += sizeof(*note) + ((note->n_namesz + 3) & ~3U) +
			      ((note->n_descsz + 3) & ~3U);
		}
	}
	fclose(f);
	return n;
}

int main(void)
{
	char was[128] = "", path[96];
	const char *dir;
	int status, n;
	FILE *f;

	raw_start();
	if (getuid())
		raw_skip("needs root, to say where core files go");
	dir = mount_private("tmpfs");
	f = fopen("/proc/sys/kernel/core_pattern", "r");
	if (!f)
		raw_skip("no core dumps in this kernel (CONFIG_COREDUMP)");
	CHECK(fgets(was, sizeof(was), f));
	fclose(f);
	threads = map_pages(1, MAP_SHARED);
	write_file("/proc/sys/kernel/core_pattern", "%s", "core");
	status = in_child(dies, (void *)dir);
	write_file("/proc/sys/kernel/core_pattern", "%s", was);
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT || !WCOREDUMP(status))
		FAIL("wait status 0x%x, expected SIGABRT and a core dump", status);
	/* The name may carry the pid, as /proc/sys/kernel/core_uses_pid says. */
	snprintf(path, sizeof(path), "%s/core", dir);
	n = threads_in(path);
	if (n != *threads)
		FAIL("%d threads in the core file, expected %d", n, *threads);
	return 0;
}
