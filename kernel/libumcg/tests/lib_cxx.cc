// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
// C++ can read the headers and call the library.
#include <libumcg.h>

static_assert(sizeof(umcg_task) == 64, "one cache line");
static_assert(sizeof(umcg_trace_record) == 48, "no padding");

int main()
{
	if (!umcg_enabled())
		return 77;
	umcg_tid self = umcg_register_basic_task(42);
	bool good = self && self == umcg_get_utid() && umcg_get_task_tag(self) == 42 &&
		    umcg_state_of(umcg_get_task_state(self)) == UMCG_TASK_RUNNING &&
		    umcg_get_time_ns() > 0;
	return good && !umcg_unregister_task() ? 0 : 1;
}
