// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Threads become tasks and stop being tasks. */
#include <sys/syscall.h>
#include <unistd.h>

#include "internal.h"

static bool join(struct umcg_group *g)
{
	int32_t members = load(&g->members);

	do {
		if (members < 0)
			return false;
	} while (!__atomic_compare_exchange_n(&g->members, &members, members + 1, false,
					      __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
	return true;
}

static void part(struct umcg_group *g)
{
	__atomic_fetch_sub(&g->members, 1, __ATOMIC_ACQ_REL);
}

/* From here on nobody finds the task any more. */
static void forget(struct umcg_thread *t)
{
	struct umcg_group *g = load(&t->group);

	store_release(&t->kind, KIND_NONE);
	store(&t->group, &umcg_basic_group);
	part(g);
}

/* The record as the kernel wants it, and the word that the kind starts with. */
static void fill_record(struct umcg_thread *self, struct umcg_group *g, uint64_t state)
{
	uint64_t s = load(&self->rec.state_ts);

	store(&self->rec.next_tid, 0);
	store(&self->rec.flags, 0);
	store(&self->rec.idle_server_tid_ptr, (uint64_t)(uintptr_t)&g->slot);
	store(&self->server, NULL);
	store(&self->pprev, NULL);
	store(&self->mode, MODE_WAIT);
	store(&self->timed, 0);
	store(&self->group, g);
	store(&self->tid, (pid_t)syscall(SYS_gettid));
	/* Read by who finds the node on the list, where the kernel puts it. */
	store_release(&self->rec.idle_workers_ptr, (uint64_t)(uintptr_t)&g->head);
	store_release(&self->rec.state_ts, umcg_word(s, state, umcg_get_time_ns()));
}

/*
 * A worker can be woken, found and run before its system call returns, so its
 * kind is known before. A server's word has to stay as it is until then.
 */
static umcg_tid enter(struct umcg_group *g, enum umcg_kind kind, intptr_t tag)
{
	struct umcg_thread *self = umcg_thread_self();
	bool worker = kind == KIND_WORKER;
	long ret;

	/* Another version might take the record, and mean something else by it. */
	if (!umcg_enabled()) {
		errno = ENOSYS;
		return UMCG_NONE;
	}
	if (!self) {
		errno = ENOMEM;
		return UMCG_NONE;
	}
	if (load(&self->kind) != KIND_NONE || !g || !join(g)) {
		errno = EINVAL;
		return UMCG_NONE;
	}
	store(&self->tag, tag);
	fill_record(self, g, worker ? BLOCKED : RUNNING);
	umcg_trace(self, UMCG_TRACE_REGISTER, NONE, worker ? BLOCKED : RUNNING, 0, 0);

	if (worker) {
		store_release(&self->kind, kind);
		ret = umcg_sys_ctl(UMCG_CTL_REGISTER | UMCG_CTL_WORKER, &self->rec);
	} else {
		ret = umcg_sys_ctl(UMCG_CTL_REGISTER, &self->rec);
		store_release(&self->kind, kind);
	}
	/* Pairs with whoever has made us RUNNING: what it did before, we see. */
	(void)load_acquire(&self->rec.state_ts);
	if (!ret)
		return self->utid;

	forget(self);
	store(&self->tid, 0);
	store_release(&self->rec.state_ts, umcg_word(load(&self->rec.state_ts), NONE, 0));
	errno = (int)-ret;
	return UMCG_NONE;
}

EXPORT umcg_tid umcg_register_basic_task(intptr_t tag)
{
	return enter(&umcg_basic_group, KIND_BASIC, tag);
}

EXPORT umcg_tid umcg_register_server(umcg_t group, intptr_t tag)
{
	return enter(umcg_group_find(group), KIND_SERVER, tag);
}

EXPORT umcg_tid umcg_register_worker(umcg_t group, intptr_t tag)
{
	return enter(umcg_group_find(group), KIND_WORKER, tag);
}

/*
 * A worker wakes its server while it can still make the system call for it, and
 * is LOCKED from then on, as it runs without a server until the kernel lets it
 * go. The server must find it gone: so first the books, then the wake-up. The
 * server may itself be gone as soon as it is RUNNING.
 */
static void leave_server(struct umcg_thread *self)
{
	struct umcg_thread *server = load(&self->server);
	pid_t tid = umcg_tid_of(server);

	forget(self);
	if (!server)
		return;
	store(&server->worker, UMCG_NONE);
	umcg_release_server(server, umcg_get_time_ns());
	umcg_sys_wake(self, tid, false);
}

/* Unregister the calling thread, whose word is RUNNING. */
void umcg_leave(struct umcg_thread *self)
{
	bool worker = self->kind == KIND_WORKER;
	uint64_t s;

	umcg_trace(self, UMCG_TRACE_UNREGISTER, RUNNING, NONE,
		   worker ? umcg_tid_of(load(&self->server)) : 0, 0);
	if (worker) {
		umcg_lock_self(self);
		leave_server(self);
	} else {
		/* The last one awake may know of work that others sleep beside. */
		if (self->kind == KIND_SERVER)
			umcg_relay(self, self->group);
		forget(self);
	}
	umcg_sys_ctl(UMCG_CTL_UNREGISTER, NULL);
	store(&self->tid, 0);
	/* Keep the timestamp moving: an old compare-and-swap must not fit again. */
	s = load(&self->rec.state_ts);
	while (!umcg_mark(self, &s, NONE))
		;
}

/* A worker's thread has ended without leaving; its server tidies up. */
void umcg_bury(struct umcg_thread *worker)
{
	forget(worker);
	store(&worker->tid, 0);
	umcg_thread_free(worker);
}

EXPORT int umcg_unregister_task(void)
{
	struct umcg_thread *self = umcg_caller();

	if (!self)
		return umcg_fail_caller();
	if (self->inside || (load(&self->rec.state_ts) & (STATE | LOCKED)) != RUNNING)
		return umcg_fail(EINVAL);
	umcg_leave(self);
	return 0;
}
