// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Signals while the policy is called. SIGSEGV and its like there are the policy's
 * fault: the call is left by a jump, the policy replaced (fault.c). The watchdog
 * sends SIGSEGV to a thread to get it out of a policy that does not come back. Elsewhere
 * the signal goes to the handler that was there before.
 */
#include <signal.h>
#include <stdlib.h>
#include <ucontext.h>
#include <unistd.h>
#include <sys/mman.h>

#include "internal.h"

#define STACK	65536U

static const int signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE };
#define SIGNALS	(sizeof(signals) / sizeof(*signals))

static pthread_mutex_t users_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned int users;
static struct sigaction before[SIGNALS];

static void hand_on(int sig, siginfo_t *info, void *context)
{
	struct sigaction *old = NULL;

	for (size_t i = 0; i < SIGNALS; i++)
		if (signals[i] == sig)
			old = &before[i];
	if (old->sa_flags & SA_SIGINFO) {
		old->sa_sigaction(sig, info, context);
	} else if (old->sa_handler == SIG_DFL || old->sa_handler == SIG_IGN) {
		/* It happens again on return, or was sent and is sent again; then it ends us. */
		sigaction(sig, old, NULL);
		if (info->si_code <= 0)
			raise(sig);
	} else {
		old->sa_handler(sig);
	}
}

static void handle(int sig, siginfo_t *info, void *context)
{
	struct actor *self = umcg_sched_actor;

	if (self && atomic_load_explicit(&self->inside, memory_order_relaxed)) {
		self->signal = sig;
		self->address = info->si_code > 0 ? info->si_addr : NULL;
		/*
		 * The jump does not put the mask back. We block nothing, but who stands between the
		 * kernel and us may: ThreadSanitizer blocks all signals, and the next crash would kill.
		 */
		pthread_sigmask(SIG_SETMASK, &((const ucontext_t *)context)->uc_sigmask, NULL);
		siglongjmp(self->env, 1);
	}
	/* The watchdog was late: it came out by itself. */
	if (self && info->si_code == SI_TKILL && atomic_load(&self->stuck)) {
		atomic_store(&self->stuck, false);
		return;
	}
	hand_on(sig, info, context);
}

int guard_open(void)
{
	struct sigaction action = { .sa_sigaction = handle };
	int failed = 0;

	action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER | SA_RESTART;
	sigemptyset(&action.sa_mask);
	pthread_mutex_lock(&users_lock);
	if (!users)
		for (size_t i = 0; i < SIGNALS; i++)
			failed |= sigaction(signals[i], &action, &before[i]);
	users += !failed;
	pthread_mutex_unlock(&users_lock);
	return failed ? -1 : 0;
}

void guard_close(void)
{
	struct sigaction now;

	pthread_mutex_lock(&users_lock);
	if (!--users)
		for (size_t i = 0; i < SIGNALS; i++)
			if (!sigaction(signals[i], NULL, &now) && (now.sa_flags & SA_SIGINFO) &&
			    now.sa_sigaction == handle)
				sigaction(signals[i], &before[i], NULL);
	pthread_mutex_unlock(&users_lock);
}

bool guard_holds(void)
{
	struct sigaction now;

	return !sigaction(SIGSEGV, NULL, &now) && (now.sa_flags & SA_SIGINFO) &&
	       now.sa_sigaction == handle;
}

/* A stack of its own: a policy that calls itself for ever has used up the other. */
int guard_enter(struct actor *self)
{
	stack_t stack = { .ss_size = STACK };

	if (!self->stack) {
		self->stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (self->stack == MAP_FAILED) {
			self->stack = NULL;
			return -1;
		}
	}
	stack.ss_sp = self->stack;
	return sigaltstack(&stack, &self->old_stack);
}

void guard_leave(struct actor *self)
{
	sigaltstack(&self->old_stack, NULL);
}

void guard_free(struct actor *self)
{
	if (self->stack)
		munmap(self->stack, STACK);
}
