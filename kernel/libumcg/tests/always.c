// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#include "always.h"

void always_callable(umcg_tid worker, umcg_t traced)
{
	static _Thread_local umcg_t other;
	struct umcg_place place;
	umcg_tid self = umcg_get_utid();
	uint64_t state = umcg_get_task_state(self);

	CHECK(umcg_enabled(), "umcg_enabled");
	CHECK(umcg_get_time_ns() > 0 && umcg_state_of(state) == (state & 0x3f), "state");
	CHECK(umcg_get_task_stamp(self) > 0, "umcg_get_task_stamp");
	umcg_set_task_tag(self, umcg_get_task_tag(self));
	CHECK(umcg_is_preempted(worker) == false, "umcg_is_preempted");
	umcg_get_passes(worker);
	CHECK(umcg_get_tenant(worker) == UMCG_NONE, "umcg_get_tenant");
	CHECK(umcg_get_place(worker, &place) && (errno == EINVAL || errno == ESRCH), "umcg_get_place");
	umcg_get_left(NULL);
	if (umcg_preempt_worker(worker))
		CHECK(errno == EAGAIN || errno == EINVAL || errno == ESRCH,
		      "umcg_preempt_worker");
	CHECK_CALL(umcg_trace_enable(traced, true), 0);
	CHECK(umcg_trace_lost(traced) < UINT64_MAX, "umcg_trace_lost");
	CHECK(umcg_trace_read(NULL, 0) == 0, "umcg_trace_read");
	CHECK_CALL(umcg_trace_enable(traced, false), 0);
	if (!other)
		other = test_group(0);
	CHECK(other, "umcg_create_group");
	/* The calling thread is registered: it is refused, whatever it was doing. */
	CHECK_NONE(umcg_register_basic_task(0), EINVAL);
	CHECK_NONE(umcg_register_server(other, 0), EINVAL);
	CHECK_NONE(umcg_register_worker(other, 0), EINVAL);
	if (!umcg_destroy_group(other))
		other = UMCG_NONE;
	else
		CHECK(errno == EAGAIN, "umcg_destroy_group");
}
