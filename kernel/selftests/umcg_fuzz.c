// SPDX-License-Identifier: MIT
/*
 * Random and near-valid calls of the three system calls, by several threads of
 * several processes over shared records, for SECONDS (first argument; seed:
 * second): records registered twice, in pages that a userfaultfd or a FUSE file
 * system serves late or never, by processes that share their memory, in pid and
 * time namespaces, under signals and debuggers. The children may die of SIGSEGV or
 * hang in a wait of their own making; they must always be killable, take no task's
 * CPU, and groups that keep the contract must never notice.
 */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "libkeeper.h"
#include "libslowfs.h"

#define RECORDS		32
#define THREADS		4		/* at first */
#define MAX_THREADS	64
#define CHILDREN	2
#define LIFE_MS		250
#define STUCK_LOOKS	30		/* of 50 ms each without a turn: taken for good */

enum {
	CALLS, SERVERS, RUNS, WORKERS, STEPS, TWICE, FAULTS, HANDLERS, STOPS, NAMESPACES, SHARERS,
	KINDS,
};

static const char * const done_names[KINDS] = {
	"rounds of calls", "servers", "runs", "workers run", "worker steps",
	"records registered twice", "late page faults", "handlers", "stops by a debugger",
	"children in namespaces", "processes that share memory",
};

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME	0x80
#endif
#ifndef PTRACE_GETSIGMASK
#define PTRACE_GETSIGMASK	0x420a
#define PTRACE_SETSIGMASK	0x420b
#endif

/*
 * A page that the children share, and pages of each child's own: an ordinary one,
 * one whose faults a userfaultfd gets and one of a FUSE file.
 */
struct arena {
	struct umcg_task rec[RECORDS];
	uint64_t	head[2];
	uint32_t	slot[2];
	uint32_t	tid[CHILDREN * THREADS];
	uint32_t	owner[RECORDS];	/* whose record it is, in nearly_work() */
	unsigned long	done[KINDS];
};

static struct arena *shared, *own, *faulty, * volatile filed;
static volatile bool *ready;		/* which children have begun */

static void done(int what)
{
	__atomic_add_fetch(&shared->done[what], 1, __ATOMIC_RELAXED);
}

static char *hole;
static int fds[2];
static unsigned int child_nr;
static pid_t files;			/* the file system's process, or 0 */

static struct arena *any_arena(uint32_t *seed)
{
	switch (raw_random(seed) % 16) {
	case 0 ... 3:
		return shared;
	case 4:
		return faulty;
	case 5:
		return filed;
	default:
		return own;
	}
}

static struct umcg_task *any_record(uint32_t *seed)
{
	static const uint64_t odd[] = {
		0, 1, 64, 0xffff888000000000, 0xffffffff81000000, 0x8000000000000000,
		0x7fffffffffc0, ~0ULL,
	};
	struct umcg_task *r = &any_arena(seed)->rec[raw_random(seed) % RECORDS];

	switch (raw_random(seed) % 32) {
	case 0:
		return (struct umcg_task *)odd[raw_random(seed) % 8];
	case 1:
		return (struct umcg_task *)((char *)r + raw_random(seed) % 64);
	case 2:
		return (struct umcg_task *)hole;
	default:
		return r;
	}
}

static bool in_arena(struct umcg_task *r)
{
	const struct arena *arenas[] = { own, shared, faulty, filed };
	uint64_t p = (uint64_t)r;

	for (int i = 0; i < 4; i++)
		if (p - (uint64_t)arenas[i] < sizeof(own->rec) && p % 8 == 0)
			return true;
	return false;
}

static uint32_t any_state(uint32_t *seed)
{
	static const uint32_t likely[] = {
		NONE, RUNNING, IDLE, BLOCKED, RUNNING | LOCKED, IDLE | LOCKED,
		RUNNING | PREEMPTED, BLOCKED | PREEMPTED, IDLE | FREE, RUNNING | FREE,
		IDLE | UMCG_TF_ADOPT, IDLE | UMCG_TF_ADOPT | FREE,
		IDLE | UMCG_TF_ADOPT | UMCG_TF_RANK, IDLE | UMCG_TF_ADOPT | UMCG_TF_RANK | FREE,
	};

	if (raw_random(seed) % 16 == 0)
		return raw_random(seed) & UMCG_TASK_STATE_MASK_FULL;
	return likely[raw_random(seed) % (sizeof(likely) / sizeof(likely[0]))];
}

static uint32_t any_tid(uint32_t *seed)
{
	if (raw_random(seed) % 16 == 0)
		return raw_random(seed) % 4 ? (int)(raw_random(seed) % 300) : -1;
	return shared->tid[raw_random(seed) % (CHILDREN * THREADS)];
}

static uint64_t any_pointer(uint32_t *seed, bool list)
{
	struct arena *a = any_arena(seed);

	if (raw_random(seed) % 16 == 0)
		return (uint64_t)any_record(seed);
	return list ? (uint64_t)&a->head[raw_random(seed) % 2] :
		      (uint64_t)&a->slot[raw_random(seed) % 2];
}

static uint64_t any_timeout(uint32_t *seed, uint32_t flags)
{
	clockid_t clock = flags & MONOTONIC ? CLOCK_MONOTONIC : CLOCK_REALTIME;

	switch (raw_random(seed) % 16) {
	case 0:
		return 0;
	case 1:
		return (uint64_t)raw_random(seed) << 40;
	default:
		return now_ns(clock) + raw_random(seed) % 500000;
	}
}

static void call_wait(uint32_t *seed)
{
	uint32_t flags = raw_random(seed) % 2 ? MONOTONIC : raw_random(seed) % 8;

	if (raw_random(seed) % 64 == 0)
		flags = raw_random(seed) << 8;
	sys_wait(flags, flags & WAKE_ONLY && raw_random(seed) % 4 ? 0 : any_timeout(seed, flags));
}

static void call_ctl(uint32_t *seed)
{
	static const uint32_t likely[] = {
		REGISTER, REGISTER, REGISTER | WORKER, REGISTER | WORKER, UNREGISTER,
		UNREGISTER, UMCG_CTL_VERSION, WORKER,
	};
	uint32_t flags = likely[raw_random(seed) % 8];
	struct umcg_task *r = any_record(seed);

	if (flags & WORKER)
		flags |= raw_random(seed) & (HOLD_SIGNALS | KEEP_PREEMPTED);
	if (raw_random(seed) % 64 == 0)
		flags = raw_random(seed);
	if (flags & REGISTER && in_arena(r) && raw_random(seed) % 8) {
		rec_init(r, flags & WORKER ? BLOCKED : RUNNING);
		r->idle_workers_ptr = any_pointer(seed, true);
		r->idle_server_tid_ptr = any_pointer(seed, false);
	}
	sys_ctl(flags, flags & UNREGISTER && raw_random(seed) % 16 ? NULL : r);
}

static uint32_t *owner(struct umcg_task *r)
{
	struct arena *a = (struct arena *)((uint64_t)r & ~4095UL);

	return &a->owner[(r - a->rec) % RECORDS];
}

static void spoil_record(uint32_t *seed)
{
	struct umcg_task *r = &any_arena(seed)->rec[raw_random(seed) % RECORDS];

	switch (raw_random(seed) % 9) {
	case 0:
		r->idle_workers_ptr = any_pointer(seed, true);
		break;
	case 8:
		if (raw_random(seed) % 2)
			r->rank = raw_random(seed) % 4;
		else
			r->tenant_tid = any_tid(seed);
		break;
	case 1:
		r->idle_server_tid_ptr = any_pointer(seed, false);
		break;
	case 2 ... 3:
		r->next_tid = any_tid(seed);
		break;
	case 4:
		any_arena(seed)->slot[raw_random(seed) % 2] = any_tid(seed);
		break;
	case 5:
		any_arena(seed)->head[raw_random(seed) % 2] = 0;
		break;
	default:
		state_cas(r, state_of(r), any_state(seed));
	}
}

static void spoil_memory(uint32_t *seed)
{
	switch (raw_random(seed) % 64) {
	case 0:
		mprotect(own, 4096, PROT_READ);
		break;
	case 1:
		munmap(own, 4096);
		break;
	case 2:
		madvise(own, 4096, MADV_DONTNEED);
		break;
	case 3 ... 12:
		madvise(shared, 4096, MADV_DONTNEED);
		break;
	case 13 ... 16:
		madvise(faulty, 4096, MADV_DONTNEED);
		break;
	case 17 ... 20:
		madvise(filed, 4096, MADV_DONTNEED);
		break;
	case 21 ... 25:
		mprotect(shared, 4096, PROT_READ);
		mprotect(shared, 4096, PROT_READ | PROT_WRITE);
		break;
	case 26:
		if (!syscall(SYS_fork)) {
			call_wait(seed);
			call_ctl(seed);
			_exit(0);
		}
		break;
	default:
		mprotect(own, 4096, PROT_READ | PROT_WRITE);
	}
}

static void any_signal(uint32_t *seed)
{
	static const int signals[] = { SIGUSR1, SIGUSR1, SIGURG, SIGCONT };
	struct itimerval soon = { .it_value = { .tv_usec = 1 + raw_random(seed) % 5000 } };
	sigset_t set;

	switch (raw_random(seed) % 8) {
	case 0:
		setitimer(ITIMER_PROF, &soon, NULL);
		break;
	case 1:
		sigemptyset(&set);
		if (raw_random(seed) % 2)
			sigaddset(&set, SIGUSR1);
		pthread_sigmask(SIG_SETMASK, &set, NULL);
		break;
	case 2:
		/* The task that stops the process also lets it go on. */
		if (!syscall(SYS_fork)) {
			kill(getppid(), SIGSTOP);
			nap(raw_random(seed) % NS_PER_MS);
			kill(getppid(), SIGCONT);
			_exit(0);
		}
		break;
	default:
		syscall(SYS_tgkill, getpid(), any_tid(seed), signals[raw_random(seed) % 4]);
	}
}

static void disturb(uint32_t *seed)
{
	char c;

	switch (raw_random(seed) % 8) {
	case 0:
		any_signal(seed);
		break;
	case 1:
		pin(0, raw_random(seed) % cpus());
		break;
	case 2:
		syscall(SYS_sched_yield);
		break;
	case 3:
		madvise(raw_random(seed) % 2 ? faulty : filed, 4096, MADV_DONTNEED);
		break;
	case 4:
		if (write(fds[1], "x", 1) == 1 && read(fds[0], &c, 1) == 1)
			break;
		break;
	default:
		nap(raw_random(seed) % 50000);
	}
}

/* Mostly a record that no other task uses. */
static struct umcg_task *my_record(uint32_t *seed, struct arena *a)
{
	return &a->rec[(raw_random(seed) % 8 ? (uint32_t)gettid() : raw_random(seed)) % RECORDS];
}

/* The contract of "run", kept by and large: the deep states come from here. */
static void nearly_serve(uint32_t *seed)
{
	struct arena *a = any_arena(seed);
	struct umcg_task *r = my_record(seed, a);
	uint32_t me = gettid(), idle = IDLE, word;

	rec_init(r, RUNNING);
	if (raw_random(seed) % 2) {
		/* Its place passes on, perhaps by rank. */
		r->idle_workers_ptr = (uint64_t)&a->head[raw_random(seed) % 2];
		r->idle_server_tid_ptr = (uint64_t)&a->slot[raw_random(seed) % 2];
		idle |= UMCG_TF_ADOPT | (raw_random(seed) % 2 ? UMCG_TF_RANK : 0);
	}
	if (sys_ctl(REGISTER, r))
		return;
	done(SERVERS);
	for (int i = 0; i < 20; i++) {
		uint64_t node = __atomic_exchange_n(&a->head[raw_random(seed) % 2], 0,
						    __ATOMIC_SEQ_CST);
		struct umcg_task *w = (void *)(node - offsetof(struct umcg_task, idle_workers_ptr));

		if (node && in_arena(w)) {
			state_cas(r, RUNNING, idle);
			r->tenant_tid = *owner(w);
			done(RUNS);
			w->idle_workers_ptr = (uint64_t)&a->head[raw_random(seed) % 2];
			w->next_tid = raw_random(seed) % 32 ? me : any_tid(seed);
			r->next_tid = *owner(w);
			state_cas(w, IDLE, raw_random(seed) % 32 ? RUNNING : any_state(seed));
		} else {
			state_cas(r, RUNNING, idle | (idle == IDLE ? 0 : FREE));
			r->next_tid = 0;
			a->slot[raw_random(seed) % 2] = me;
		}
		sys_wait(MONOTONIC, now_ns(CLOCK_MONOTONIC) + 300000);
		word = state_of(r);
		if ((word & UMCG_TASK_STATE_MASK) == IDLE)
			state_cas(r, word, RUNNING);
		if (raw_random(seed) % 4 == 0)
			state_cas(w = &a->rec[raw_random(seed) % RECORDS], RUNNING,
				  RUNNING | PREEMPTED);
	}
	sys_ctl(UNREGISTER, NULL);
}

static void nearly_work(uint32_t *seed)
{
	struct arena *a = any_arena(seed);
	struct umcg_task *r = my_record(seed, a);

	rec_init(r, BLOCKED);
	r->idle_workers_ptr = (uint64_t)&a->head[raw_random(seed) % 2];
	r->idle_server_tid_ptr = (uint64_t)&a->slot[raw_random(seed) % 2];
	r->rank = raw_random(seed) % 4;
	*owner(r) = gettid();
	if (sys_ctl(REGISTER | WORKER | (raw_random(seed) & (HOLD_SIGNALS | KEEP_PREEMPTED)), r))
		return;
	done(WORKERS);
	for (int i = 0; i < 20; i++) {
		done(STEPS);
		switch (raw_random(seed) % 8) {
		case 0 ... 2:
			nap(raw_random(seed) % 50000);
			break;
		case 3:
			sys_kick(0, any_tid(seed));
			break;
		case 4:
			disturb(seed);
			break;
		case 5:
			/* Long enough for others to come. */
			for (volatile int n = raw_random(seed) % 20000; n; n--)
				;
			break;
		default:
			state_cas(r, RUNNING, IDLE | LOCKED);
			for (int k = 0; k < RECORDS; k++)
				if (a->rec[k].next_tid == *owner(r))
					state_cas(&a->rec[k], IDLE, RUNNING);
			sys_wait(MONOTONIC, now_ns(CLOCK_MONOTONIC) + 300000);
		}
	}
	if (raw_random(seed) % 2)
		sys_ctl(UNREGISTER, NULL);
	else
		syscall(SYS_exit, 0);
}

/* --- one record, two threads --- */

static volatile pid_t twice_server;

static void *registers_it(void *arg)
{
	struct umcg_task *r = arg;

	shared->tid[child_nr * THREADS] = gettid();
	rec_init(r, BLOCKED);
	r->idle_workers_ptr = (uint64_t)&own->head[0];
	r->idle_server_tid_ptr = (uint64_t)&own->slot[0];
	if (!sys_ctl(REGISTER | WORKER, r))
		done(WORKERS);
	return NULL;
}

/* A third one makes the worker RUNNING, and RUNNING's like, with the server in its record. */
static void *makes_it_run(void *arg)
{
	static struct umcg_task caller;
	struct umcg_task *r = arg;
	uint32_t seed = gettid();

	rec_init(&caller, RUNNING);
	if (sys_ctl(REGISTER, &caller))
		return NULL;
	for (int i = 0; i < 20; i++) {
		nap(NS_PER_MS);
		caller.next_tid = shared->tid[child_nr * THREADS];
		r->next_tid = raw_random(&seed) % 4 ? twice_server : 0;
		if (state_cas(r, IDLE, raw_random(&seed) % 4 ? RUNNING | PREEMPTED :
				  any_state(&seed)))
			sys_wait(WAKE_ONLY, 0);
	}
	return NULL;
}

static void register_twice(uint32_t *seed)
{
	struct umcg_task *r = &any_arena(seed)->rec[raw_random(seed) % RECORDS];

	rec_init(r, RUNNING);
	if (sys_ctl(REGISTER, r))
		return;
	done(TWICE);
	twice_server = gettid();
	spawn(makes_it_run, r);
	spawn(registers_it, r);
	nap(LIFE_MS * NS_PER_MS);
	sys_ctl(UNREGISTER, NULL);
}

static void *registers_twice(void *arg)
{
	uint32_t seed = (uint32_t)(uintptr_t)arg;

	register_twice(&seed);
	return NULL;
}

/* --- threads --- */

/* What a thread does, and a process that shares memory, for which there is no thread library. */
static bool fuzz_step(uint32_t *seed, bool thread)
{
	done(CALLS);
	switch (raw_random(seed) % 16) {
	case 0 ... 1:
		call_ctl(seed);
		break;
	case 2 ... 4:
		call_wait(seed);
		break;
	case 5:
		sys_kick(raw_random(seed) % 16 ? 0 : raw_random(seed), any_tid(seed));
		break;
	case 6 ... 7:
		spoil_record(seed);
		break;
	case 8:
		if (raw_random(seed) % 16 == 0)
			spoil_memory(seed);
		break;
	case 9:
		disturb(seed);
		break;
	case 10 ... 12:
		nearly_serve(seed);
		break;
	case 13 ... 14:
		nearly_work(seed);
		break;
	default:
		if (thread && raw_random(seed) % 16 == 0)
			register_twice(seed);
		if (raw_random(seed) % 64 == 0)
			return false;
	}
	return true;
}

static void *fuzz_thread(void *arg)
{
	uint32_t seed = (uint32_t)(uintptr_t)arg;

	do {
		shared->tid[child_nr * THREADS + seed % THREADS] = gettid();
	} while (fuzz_step(&seed, true));
	return NULL;
}

static int fuzz_process(void *arg)
{
	uint32_t seed = (uint32_t)(uintptr_t)arg;

	syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL);
	while (fuzz_step(&seed, false))
		;
	return 0;
}

static void share_memory(uint32_t seed)
{
	char *stack = map_pages(16, 0);

	if (clone(fuzz_process, stack + 16 * 4096, CLONE_VM | CLONE_FS | CLONE_FILES | SIGCHLD,
		  (void *)(uintptr_t)seed) > 0)
		done(SHARERS);
}

/* --- handlers --- */

/* What a handler may do, and what it had better not. */
static void on_signal(int sig)
{
	static uint32_t seed;

	(void)sig;
	done(HANDLERS);
	switch (raw_random(&seed) % 32) {
	case 0:
		call_wait(&seed);
		break;
	case 1:
		call_ctl(&seed);
		break;
	case 2:
		nap(raw_random(&seed) % 200000);
		break;
	case 3:
		spoil_record(&seed);
		break;
	case 4:
		syscall(SYS_tgkill, getpid(), gettid(), SIGUSR1);
		break;
	case 5:
		syscall(SYS_exit, 0);
	}
}

static void install_handlers(uint32_t seed)
{
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = seed & 1 ? SA_RESTART : 0 };

	sigaction(SIGPROF, &sa, NULL);
	sa.sa_flags |= seed & 2 ? SA_NODEFER : 0;
	sigaction(SIGUSR1, &sa, NULL);
	sa.sa_flags |= SA_RESETHAND;		/* ignored the next time */
	sigaction(SIGURG, &sa, NULL);
}

/* --- pages that come late --- */

static void *serves_faults(void *arg)
{
	static char filled[4096] __attribute__((aligned(4096)));
	int fd = (intptr_t)arg;
	uint32_t seed = fd;

	for (;;) {
		struct pollfd pfd = { .fd = fd, .events = POLLIN };
		struct uffdio_copy copy = {
			.dst = (uint64_t)faulty, .src = (uint64_t)filled, .len = 4096,
		};
		struct uffd_msg msg;

		if (poll(&pfd, 1, -1) != 1 || read(fd, &msg, sizeof(msg)) != sizeof(msg))
			continue;
		done(FAULTS);
		if (raw_random(&seed) % 8 == 0)
			return NULL;		/* never more */
		nap(raw_random(&seed) % 2000000);
		ioctl(fd, UFFDIO_COPY, &copy);
	}
}

static struct arena *faulty_arena(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct arena *a = map_pages(1, 0);
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return a;			/* an ordinary page, then */
	CHECK_EQ(ioctl(fd, UFFDIO_API, &api), 0);
	reg.range.start = (uint64_t)a;
	reg.range.len = 4096;
	a->head[0] = 0;				/* present at first */
	CHECK_EQ(ioctl(fd, UFFDIO_REGISTER, &reg), 0);
	faulty = a;
	spawn(serves_faults, (void *)(intptr_t)fd);
	return a;
}

/* That this comes to its end depends on the file system, too. */
static void *maps_file(void *arg)
{
	(void)arg;
	filed = (struct arena *)slow_files_map(1);
	return NULL;
}

/* --- a debugger of another child's threads --- */

static void *debugs(void *arg)
{
	uint32_t seed = (uint32_t)(uintptr_t)arg;
	pid_t traced = 0;

	for (;;) {
		uint64_t mask = 0;
		int status;

		nap(raw_random(&seed) % (4 * NS_PER_MS));
		if (!traced) {
			pid_t tid = shared->tid[!child_nr * THREADS + raw_random(&seed) % THREADS];

			if (tid > 0 && !ptrace(PTRACE_SEIZE, tid, 0, 0))
				traced = tid;
			continue;
		}
		ptrace(PTRACE_INTERRUPT, traced, 0, 0);
		nap(raw_random(&seed) % NS_PER_MS);
		if (waitpid(traced, &status, __WALL | WNOHANG) < 0) {
			traced = 0;
			continue;
		}
		done(STOPS);
		ptrace(PTRACE_GETSIGMASK, traced, 8, &mask);
		if (raw_random(&seed) % 4 == 0) {
			mask ^= 1UL << (SIGUSR1 - 1);
			ptrace(PTRACE_SETSIGMASK, traced, 8, &mask);
		}
		if (raw_random(&seed) % 4) {
			ptrace(PTRACE_CONT, traced, 0, raw_random(&seed) % 8 ? 0 : SIGUSR1);
		} else {
			ptrace(PTRACE_DETACH, traced, 0, 0);
			traced = 0;
		}
	}
	return NULL;
}

/* --- children --- */

/* Goes on in namespaces of its own; the process outside ends as the one inside does. */
static void enter_namespaces(void)
{
	int status;
	pid_t pid;

	if (unshare(CLONE_NEWPID | CLONE_NEWTIME) && unshare(CLONE_NEWPID))
		return;
	done(NAMESPACES);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		return;
	}
	while (waitpid(pid, &status, 0) < 0)
		;
	if (WIFSIGNALED(status)) {
		signal(WTERMSIG(status), SIG_DFL);
		kill(getpid(), WTERMSIG(status));
	}
	_exit(0);
}

static void fuzz_child(void *arg)
{
	uint32_t seed = (uint32_t)(uintptr_t)arg;

	if (seed % 4 == 0)
		enter_namespaces();
	install_handlers(seed);
	/* Left to themselves they might wait for good: their end is not ours to see. */
	alarm(60);
	CHECK_EQ(pipe(fds), 0);
	own = map_pages(1, 0);
	hole = map_pages(1, 0);
	munmap(hole, 4096);
	faulty = faulty_arena();
	filed = map_pages(1, 0);
	if (files)
		spawn(maps_file, NULL);
	if (seed % 4 == 1)
		spawn(debugs, (void *)(uintptr_t)seed);
	if (seed % 4 == 2)
		spawn(registers_twice, (void *)(uintptr_t)seed);
	ready[child_nr] = true;
	/* Workers that no task runs wait for good, so new threads come all the time. */
	for (uint32_t i = 0;; i++) {
		if (i < MAX_THREADS)
			spawn(fuzz_thread, (void *)(uintptr_t)(seed * MAX_THREADS + i));
		if (i % 16 == 8 && i < MAX_THREADS)
			share_memory(seed * MAX_THREADS + i);
		if (i >= THREADS)
			usleep(2000);
	}
}

static struct {
	pid_t	pid[CHILDREN];
	uint64_t born[CHILDREN];		/* when it was ready, 0: not yet */
	unsigned long ended, killed, broke;
} children;

/* Reaps child @i if it has come to its end, which it does at the latest by being killed. */
static void look_after(int i, bool spare)
{
	int status;

	/* On a busy machine its start alone may take that long. */
	if (!children.born[i] && ready[i])
		children.born[i] = now_ns(CLOCK_MONOTONIC);
	if (!spare && children.born[i] &&
	    now_ns(CLOCK_MONOTONIC) > children.born[i] + LIFE_MS * NS_PER_MS)
		kill(children.pid[i], SIGKILL);
	if (waitpid(children.pid[i], &status, WNOHANG) <= 0)
		return;
	children.pid[i] = 0;
	if (WIFEXITED(status))
		children.ended++;
	else if (WTERMSIG(status) == SIGKILL)
		children.killed++;
	else if (WTERMSIG(status) == SIGSEGV || WTERMSIG(status) == SIGBUS)
		children.broke++;
	else
		FAIL("a child died of signal %d", WTERMSIG(status));
}

static void start_child(int i, uint32_t seed)
{
	child_nr = i;
	for (int k = 0; k < THREADS; k++)
		shared->tid[i * THREADS + k] = 0;
	children.born[i] = 0;
	ready[i] = false;
	children.pid[i] = child_start(fuzz_child, (void *)(uintptr_t)seed);
}

/*
 * Is there a CPU on which a thread that wants to run does not? Then the children live
 * on until it does, and if it never does, they have taken it.
 */
static bool cpu_taken(void)
{
	static uint64_t looked;
	static int looks;
	uint64_t now = now_ns(CLOCK_MONOTONIC);
	int cpu;

	if (now < looked + 50 * NS_PER_MS)
		return looks > 2;
	looked = now;
	cpu = tickers_stuck();
	looks = cpu < 0 ? 0 : looks + 1;
	if (looks > STUCK_LOOKS)
		FAIL("no other task has run on CPU %d for %d looks", cpu, looks);
	return looks > 2;
}

int main(int argc, char **argv)
{
	struct keeper *k;
	bool all_gone;
	uint32_t seed;
	pid_t keeps;
	long seconds;
	uint64_t end;

	raw_start();
	seconds = raw_number(argc, argv, "SECONDS", 10);
	seed = argc > 2 ? atoi(argv[2]) : (int)now_ns(CLOCK_REALTIME) >> 10;
	printf("  seed %u, %ld s\n", seed, seconds);
	fflush(stdout);
	shared = map_pages(1, MAP_SHARED);
	ready = map_pages(1, MAP_SHARED);
	k = map_pages(1, MAP_SHARED);
	if (!getuid()) {
		volatile int *silent = map_pages(1, MAP_SHARED);

		mount_private("tmpfs");		/* so that nothing stays mounted */
		*silent = 10;
		files = slow_files_mount(silent);
	}
	keeps = child_start(keeper, k);
	tickers_start();
	end = now_ns(CLOCK_MONOTONIC) + seconds * NS_PER_S;
	/* Until the time is over and all have gone: both may end at once before. */
	do {
		bool over = now_ns(CLOCK_MONOTONIC) > end, spare = cpu_taken();
		int status;

		all_gone = true;
		for (int i = 0; i < CHILDREN; i++) {
			if (children.pid[i])
				look_after(i, spare);
			else if (!over)
				start_child(i, raw_random(&seed));
			all_gone &= !children.pid[i];
		}
		if (waitpid(keeps, &status, WNOHANG))
			FAIL("the group that keeps the contract has ended, wait status 0x%x", status);
		usleep(2000);
	} while (!all_gone || now_ns(CLOCK_MONOTONIC) < end);
	k->stop = true;
	CHECK_EQ(child_wait(keeps), 0);
	if (files)
		slow_files_unmount(files);
	printf("  children: %lu ended, %lu killed at last, %lu broke the contract\n",
	       children.ended, children.killed, children.broke);
	for (int i = 0; i < KINDS; i++)
		printf("  %lu %s\n", shared->done[i], done_names[i]);
	printf("  %ld runs and %ld waits beside them\n", k->runs, k->waits);
	CHECK(children.broke && shared->done[STEPS] && k->runs && k->waits);
	fflush(stdout);
	_exit(0);
}
