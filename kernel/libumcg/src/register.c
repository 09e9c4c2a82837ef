// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Threads become tasks and stop being tasks. */
#include <sys/syscall.h>
#include <unistd.h>

#include "cancel.h"

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

/* From here on no task finds the task any more. */
static void forget(struct umcg_thread *t)
{
	struct umcg_group *g = load(&t->group);

	if (load(&t->seat))
		umcg_leave_seat(g, t);
	store_release(&t->kind, KIND_NONE);
	store(&t->group, &umcg_basic_group);
	part(g);
}

/* The record as the kernel wants it, and the word that the kind starts with. */
static void fill_record(struct umcg_thread *self, struct umcg_group *g, uint64_t state)
{
	bool passes_on = umcg_passes_on(g), worker = state == BLOCKED;
	uint32_t *slot = passes_on ? &g->slots[worker ? 0 : self->seat - 1] : &g->slot;
	uint64_t s = load(&self->rec.state_ts);

	store(&self->rec.next_tid, 0);
	/* A worker's server may be any of them. */
	store(&self->rec.flags, passes_on && worker ? UMCG_MAX_SLOTS - 1 : 0);
	store(&self->rec.tenant_tid, 0);
	store(&self->rec.passes, 0);
	store(&self->rec.rank, worker && umcg_has_ranks(g) ? UMCG_RANK_NORMAL : 0);
	store(&self->rec.idle_server_tid_ptr, (uint64_t)(uintptr_t)slot);
	store(&self->server, NULL);
	store(&self->pprev, NULL);
	store(&self->mode, MODE_WAIT);
	store(&self->timed, 0);
	store(&self->waits_for, UMCG_NONE);
	store(&self->group, g);
	/* Read by the task that finds the node on the list, where the kernel puts it. */
	store_release(&self->rec.idle_workers_ptr, (uint64_t)(uintptr_t)&g->head);
	store_release(&self->rec.state_ts, umcg_word(s, state, umcg_get_time_ns()));
}

/* Register with the kernel; a worker's call waits until a server runs it. */
static long sys_register(struct umcg_thread *self, struct umcg_group *g, bool worker)
{
	uint32_t flags = UMCG_REGISTER_WORKER;
	long ret;

	if (worker) {
		UMCG_GUARD(guard, self);

		if (load(&g->flags) & UMCG_GROUP_HOLD_SIGNALS)
			flags |= UMCG_CTL_HOLD_SIGNALS;
		ret = umcg_sys_ctl_cancellable(flags, &self->rec);
		guard = NULL;
	} else {
		ret = umcg_sys_ctl(UMCG_CTL_REGISTER, &self->rec);
	}
	return ret;
}

/* The calling thread, where places pass on, can be found, and has a place. */
static int take_part(struct umcg_thread *self, struct umcg_group *g, enum umcg_kind kind)
{
	if (!umcg_name_tid(self))
		return ENOMEM;
	return kind == KIND_SERVER && !umcg_take_seat(g, self) ? ENOSPC : 0;
}

/*
 * A worker can be woken, found and run before its system call returns, so its
 * kind is known before. A server's word has to stay as it is until then.
 * @group names @g, or is UMCG_NONE for basic tasks.
 */
static umcg_tid enter(struct umcg_group *g, umcg_t group, enum umcg_kind kind,
		      intptr_t tag)
{
	struct umcg_thread *self = umcg_thread_self();
	bool worker = kind == KIND_WORKER;
	int error;
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
	/* A handler that has interrupted our own registration, or its end. */
	if (load(&self->kind) == KIND_NONE && self->inside) {
		errno = EAGAIN;
		return UMCG_NONE;
	}
	umcg_step_begins(self);
	if (load(&self->kind) != KIND_NONE || !g || !join(g)) {
		umcg_step_ends(self);
		errno = EINVAL;
		return UMCG_NONE;
	}
	/* It may have been destroyed since it was found, and be another one now. */
	if (load_acquire(&g->handle) != group) {
		part(g);
		umcg_step_ends(self);
		errno = EINVAL;
		return UMCG_NONE;
	}
	store(&self->seat, 0);
	store(&self->held, 0);
	umcg_note_left(self, UMCG_NONE, 0);
	store(&self->tid, (pid_t)syscall(SYS_gettid));
	error = umcg_passes_on(g) ? take_part(self, g, kind) : 0;
	if (error) {
		store(&self->tid, 0);
		part(g);
		umcg_step_ends(self);
		errno = error;
		return UMCG_NONE;
	}
	store(&self->tag, tag);
	fill_record(self, g, worker ? BLOCKED : RUNNING);
	umcg_trace(self, UMCG_TRACE_REGISTER, NONE, worker ? BLOCKED : RUNNING, 0, 0);

	if (worker) {
		store_release(&self->kind, kind);
		/* From here on it is a worker without a server. */
		umcg_step_ends(self);
	}
	ret = sys_register(self, g, worker);
	if (!worker) {
		store_release(&self->kind, kind);
		umcg_step_ends(self);
	}
	/* Pairs with the task that has made us RUNNING: what it did before, we see. */
	(void)load_acquire(&self->rec.state_ts);
	if (ret) {
		forget(self);
		store(&self->tid, 0);
		store_release(&self->rec.state_ts,
			      umcg_word(load(&self->rec.state_ts), NONE, 0));
	}
	if (!ret)
		return load(&self->utid);
	errno = (int)-ret;
	return UMCG_NONE;
}

EXPORT umcg_tid umcg_register_basic_task(intptr_t tag)
{
	return enter(&umcg_basic_group, UMCG_NONE, KIND_BASIC, tag);
}

EXPORT umcg_tid umcg_register_server(umcg_t group, intptr_t tag)
{
	return enter(umcg_group_find(group), group, KIND_SERVER, tag);
}

EXPORT umcg_tid umcg_register_worker(umcg_t group, intptr_t tag)
{
	return enter(umcg_group_find(group), group, KIND_WORKER, tag);
}

/* The kernel knows the caller no more. */
static void leave_kernel(struct umcg_thread *self)
{
	umcg_sys_ctl(UMCG_CTL_UNREGISTER, NULL);
	store(&self->tid, 0);
}

/*
 * A worker wakes its server while it can still make the system call for it, and
 * is LOCKED from then on, as it runs without a server until the kernel lets it
 * go. The server must find it gone: so first the books, then the wake-up. The
 * server may itself be gone as soon as it is RUNNING.
 */
static void leave_server(struct umcg_thread *self, struct umcg_thread *server)
{
	pid_t tid = load(&server->tid);

	forget(self);
	umcg_note_left(server, load(&self->utid), load(&self->tag));
	store(&server->worker, UMCG_NONE);
	store(&server->rec.tenant_tid, 0);
	umcg_release_server(server, umcg_get_time_ns());
	umcg_sys_wake(self, tid, false);
}

/*
 * LOCK the word of the calling worker, so that no task runs or wakes it. One that is
 * BLOCKED (it was run while it was in a signal handler, or has not yet told
 * the kernel that it registers) becomes RUNNING first, without a server, and
 * registers as what it can be to make system calls: the kernel refuses that if it
 * knows the worker.
 */
static void lock_leaver(struct umcg_thread *self)
{
	uint64_t s = load_acquire(&self->rec.state_ts);

	while ((s & STATE) == BLOCKED) {
		store(&self->server, NULL);
		store(&self->rec.next_tid, 0);
		if (umcg_change(self, &s, RUNNING | (s & QUEUED), umcg_get_time_ns())) {
			umcg_sys_ctl(UMCG_CTL_REGISTER, &self->rec);
			break;
		}
	}
	umcg_lock_self(self);
}

/*
 * The calling worker ends, LOCKED with word @s, and has no server that could be
 * told. So its task stays, as NONE: on the list, where it puts itself if it is not
 * there, or in the hands of the server that has taken it from there. The task that
 * runs it is told that it has left, and takes it away.
 */
static void leave_parked(struct umcg_thread *self, uint64_t s)
{
	struct umcg_group *g = self->group;
	bool idle = (s & STATE) == IDLE, in_hand = idle && (s & (HELD | PREEMPTED));
	bool listed = in_hand || (idle && (!(s & IN_WAIT) || umcg_is_listed(self)));
	uint64_t flags = IDLE | LOCKED | OWN | (in_hand ? HELD : 0);

	/* A server may take it from the list, and others queue a wake-up, in this moment. */
	while (!umcg_mark(self, &s, flags | (s & (HELD | QUEUED))))
		;
	if (!listed) {
		umcg_push_idle(g, self);
		umcg_nudge(self, g);
	}
	/* Signal handlers find no task, as what they change they could not tell the kernel. */
	umcg_self = NULL;
	leave_kernel(self);
	umcg_step_ends(self);
	/* The last that we do to it: with LOCKED gone it may be another thread's. */
	s = load(&self->rec.state_ts);
	while (!umcg_mark(self, &s, NONE | (s & HELD)))
		;
}

/*
 * Unregister the calling thread, which is RUNNING, or a worker that ends without
 * a server. False: then its task is not its own any more.
 */
bool umcg_leave(struct umcg_thread *self)
{
	struct umcg_thread *server = NULL;
	uint64_t s = NONE;

	umcg_step_begins(self);
	if (self->kind == KIND_WORKER) {
		lock_leaver(self);
		s = load(&self->rec.state_ts);
		if ((s & STATE) == RUNNING)
			server = umcg_server_of(self);
	}
	umcg_trace(self, UMCG_TRACE_UNREGISTER, RUNNING, NONE, umcg_tid_of(server), 0);
	if (server) {
		leave_server(self, server);
	} else if (self->kind == KIND_WORKER) {
		leave_parked(self, s);
		return false;
	} else {
		/* The last one awake may know of work that others sleep beside. */
		if (self->seat)
			umcg_relay_now(self, self->group);
		else if (self->kind == KIND_SERVER)
			umcg_relay(self, self->group);
		forget(self);
	}
	leave_kernel(self);
	/* Keep the timestamp moving: an old compare-and-swap must not fit again. */
	s = load(&self->rec.state_ts);
	while (!umcg_mark(self, &s, NONE))
		;
	umcg_step_ends(self);
	return true;
}

/*
 * The thread of @t has ended without a server to tell, or without leaving, by a
 * bare exit(2) for which the kernel has made its word NONE. (One that leaves
 * properly is no member any more when its word says that.) Several may notice:
 * the task that sets LOCKED tidies up, and the word stays NONE, so that no wake-up is
 * queued meanwhile. Not for a worker that is on the idle list, which is met there.
 */
void umcg_free_ended(struct umcg_thread *self, struct umcg_group *g, struct umcg_thread *t)
{
	uint64_t s = load_acquire(&t->rec.state_ts);

	if ((s & (STATE | LOCKED)) != NONE || load(&t->utid) <= 0 || load(&t->group) != g ||
	    load_acquire(&t->kind) == KIND_NONE || !umcg_mark(t, &s, NONE | LOCKED))
		return;
	if (load(&t->kind) == KIND_SERVER)
		umcg_leave_sleepers(self, g, t);
	forget(t);
	store(&t->tid, 0);
	while (!umcg_mark(t, &s, NONE))
		;
	umcg_thread_free(t);
}

/*
 * Free workers of @g that have ended; those on the list only if @listed, else they
 * are counted.
 */
static int32_t free_all_ended(struct umcg_thread *self, struct umcg_group *g, bool listed)
{
	struct umcg_thread *t;
	int32_t n = 0;
	uint32_t i;

	for (i = 0; (t = umcg_thread_at(i)); i++) {
		if (load(&t->group) != g)
			continue;
		if (load(&t->kind) == KIND_WORKER && umcg_is_listed(t) && !listed)
			n += (load_acquire(&t->rec.state_ts) & STATE) == NONE;
		else
			umcg_free_ended(self, g, t);
	}
	return n;
}

/* @g is to be destroyed. False: it has members that live. */
bool umcg_close_group(struct umcg_group *g)
{
	struct umcg_thread *self = umcg_thread_self();
	int32_t ended = 0;

	if (self && load(&g->members) > 0)
		ended = free_all_ended(self, g, false);
	if (!__atomic_compare_exchange_n(&g->members, &ended, -1, false,
					 __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return false;
	/* No task is left that could use the list. */
	if (ended) {
		free_all_ended(self, g, true);
		store(&g->members, -1);
	}
	return true;
}

EXPORT int umcg_unregister_task(void)
{
	struct umcg_thread *self = umcg_caller();

	if (!self)
		return umcg_fail_caller();
	if (umcg_must_not_wait(self, load(&self->rec.state_ts)))
		return umcg_fail(EAGAIN);
	umcg_step_begins(self);
	/* From here on handlers are refused. One before may have done it. */
	if (load(&self->kind) == KIND_NONE) {
		umcg_step_ends(self);
		return umcg_fail(EINVAL);
	}
	if (umcg_leave(self))
		umcg_step_ends(self);
	return 0;
}
