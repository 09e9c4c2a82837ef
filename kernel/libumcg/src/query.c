// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* What one can ask for, and how functions fail. */
#include "internal.h"

EXPORT bool umcg_enabled(void)
{
	return umcg_sys_ctl(UMCG_CTL_VERSION, NULL) == UMCG_ABI_VERSION;
}

COLD int umcg_fail(int error)
{
	errno = error;
	return -1;
}

/* The calling thread is not registered: is that its fault? */
COLD int umcg_fail_caller(void)
{
	return umcg_fail(umcg_enabled() ? EINVAL : ENOSYS);
}

/* Sets errno to why the calling thread may not call what is for tasks of @kind, or for all. */
COLD int umcg_refuse(enum umcg_kind kind)
{
	struct umcg_thread *self = umcg_caller();

	if (!self)
		return umcg_fail_caller();
	return umcg_fail(kind != KIND_NONE && self->kind != kind ? EINVAL : EAGAIN);
}

EXPORT uint64_t umcg_get_task_state(umcg_tid utid)
{
	struct umcg_thread *t = umcg_find(utid);
	uint64_t s;

	if (!t) {
		errno = ESRCH;
		return NONE;
	}
	s = load_acquire(&t->rec.state_ts);
	if ((s & STATE) == RUNNING)
		s &= ~IN_WAIT;
	return s & FLAGS & ~(HELD | FREE | ADOPT | RANK | OWN);
}

EXPORT uint64_t umcg_get_task_stamp(umcg_tid utid)
{
	struct umcg_thread *t = umcg_find(utid);

	if (t)
		return umcg_stamp_of(load_acquire(&t->rec.state_ts));
	errno = ESRCH;
	return 0;
}

EXPORT uint32_t umcg_get_passes(umcg_tid server)
{
	struct umcg_thread *t = umcg_find(server);

	if (t)
		return load(&t->rec.passes);
	errno = ESRCH;
	return 0;
}

EXPORT umcg_tid umcg_get_left(intptr_t *tag)
{
	struct umcg_thread *self = umcg_caller();

	if (!self || self->kind != KIND_SERVER) {
		umcg_refuse(KIND_SERVER);
		return UMCG_NONE;
	}
	if (tag)
		*tag = load(&self->left_tag);
	errno = 0;
	return load(&self->left);
}

EXPORT void umcg_set_task_tag(umcg_tid utid, intptr_t tag)
{
	struct umcg_thread *t = umcg_find(utid);

	if (t)
		store_release(&t->tag, tag);
	else
		errno = ESRCH;
}

EXPORT intptr_t umcg_get_task_tag(umcg_tid utid)
{
	struct umcg_thread *t = umcg_find(utid);

	if (t)
		return load_acquire(&t->tag);
	errno = ESRCH;
	return 0;
}
