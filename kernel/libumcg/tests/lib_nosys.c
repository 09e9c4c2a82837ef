// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * A kernel without UMCG: every function says ENOSYS. Where the kernel has it, a
 * seccomp filter takes it away. Before that another filter makes it a kernel of
 * another version, which would register threads, but must not be asked to.
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

#include "util.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

static int filter(struct sock_filter *code, unsigned short length)
{
	struct sock_fprog program = { .len = length, .filter = code };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static int take_away(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, __NR_umcg_ctl, 0, 2),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, __NR_umcg_kick, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};

	return filter(code, ARRAY_SIZE(code));
}

/* umcg_ctl() knows all but the question for the version. */
static int other_version(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_umcg_ctl, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, UMCG_CTL_VERSION, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};

	return filter(code, ARRAY_SIZE(code));
}

static void nobody_registers(umcg_t group)
{
	CHECK(!umcg_enabled(), "enabled");
	CHECK_NONE(umcg_create_group(0), ENOSYS);
	CHECK_NONE(umcg_register_basic_task(0), ENOSYS);
	CHECK_NONE(umcg_register_server(group, 0), ENOSYS);
	CHECK_NONE(umcg_register_worker(group, 0), ENOSYS);
}

int main(void)
{
	umcg_t group = umcg_create_group(0);
	umcg_tid self;

	if (umcg_enabled()) {
		CHECK(!other_version(), "no seccomp filter: umcg_ctl, version");
		nobody_registers(group);
		CHECK(!take_away(), "no seccomp filter: all calls");
	}
	nobody_registers(group);
	self = umcg_get_utid();
	CHECK(self != UMCG_NONE, "no utid");
	umcg_set_task_tag(self, 9);
	CHECK(umcg_get_task_tag(self) == 9, "tag");
	CHECK(umcg_get_task_state(self) == UMCG_TASK_NONE, "state");
	CHECK(umcg_get_time_ns() > 0, "time");

	CHECK_CALL(umcg_destroy_group(UMCG_NONE), ENOSYS);
	CHECK_CALL(umcg_trace_enable(UMCG_NONE, true), ENOSYS);
	errno = 0;
	CHECK(umcg_trace_lost(UMCG_NONE) == 0 && errno == ENOSYS, "lost");
	CHECK_CALL(umcg_unregister_task(), ENOSYS);
	CHECK_CALL(umcg_wait(0), ENOSYS);
	CHECK_CALL(umcg_wake(self, false), ENOSYS);
	CHECK_CALL(umcg_try_wake(self, false), ENOSYS);
	CHECK_CALL(umcg_yield(), ENOSYS);
	CHECK_CALL(umcg_swap(self, 0), ENOSYS);
	CHECK_NONE(umcg_get_idle_worker(true), ENOSYS);
	CHECK_NONE(umcg_run_worker(self), ENOSYS);
	CHECK_NONE(umcg_offer_place(), ENOSYS);
	CHECK(!umcg_is_preempted(self), "preempted");
	CHECK_CALL(umcg_preempt_worker(self), ENOSYS);
	CHECK_CALL(umcg_preempt_worker(UMCG_NONE), ENOSYS);
	return 0;
}
