// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Every misuse is answered by its errno, and changes nothing. */
#include <signal.h>

#include "util.h"

static umcg_t group, other_group;
static umcg_tid chief;			/* the main thread, a server of group */
static atomic_intptr_t worker_utid, basic_utid, foreign_utid, gone_utid;

static void not_registered(void)
{
	umcg_tid self = umcg_get_utid();

	CHECK(self && self == umcg_get_utid(), "no utid");
	CHECK(umcg_get_task_state(self) == UMCG_TASK_NONE, "registered");
	CHECK_CALL(umcg_wait(0), EINVAL);
	CHECK_CALL(umcg_wake(self, false), EINVAL);
	CHECK_CALL(umcg_try_wake(self, false), EINVAL);
	CHECK_CALL(umcg_yield(), EINVAL);
	CHECK_CALL(umcg_swap(self, 0), EINVAL);
	CHECK_CALL(umcg_unregister_task(), EINVAL);
	CHECK_NONE(umcg_get_idle_worker(false), EINVAL);
	CHECK_NONE(umcg_get_idle_worker(true), EINVAL);
	CHECK_NONE(umcg_run_worker(self), EINVAL);
	CHECK_NONE(umcg_offer_place(), EINVAL);
	CHECK_CALL(umcg_put_idle_worker(self), EINVAL);
	CHECK_CALL(umcg_preempt_worker(self), EINVAL);
	CHECK_CALL(umcg_preempt_worker(UMCG_NONE), ESRCH);
}

static void groups(void)
{
	umcg_t old = umcg_create_group(0);

	CHECK_NONE(umcg_create_group(UMCG_GROUP_RANKS << 1), EINVAL);
	CHECK_NONE(umcg_create_group(0x80000000), EINVAL);
	CHECK_NONE(umcg_create_group(UMCG_GROUP_PREEMPT_SIGNAL(SIGKILL)), EINVAL);
	CHECK_NONE(umcg_create_group(UMCG_GROUP_PREEMPT_SIGNAL(100)), EINVAL);
	CHECK_CALL(umcg_destroy_group(old), 0);
	CHECK_CALL(umcg_destroy_group(old), EINVAL);
	CHECK_CALL(umcg_destroy_group(UMCG_NONE), EINVAL);
	CHECK_CALL(umcg_destroy_group(12345), EINVAL);
	CHECK_NONE(umcg_register_server(old, 0), EINVAL);
	CHECK_NONE(umcg_register_worker(old, 0), EINVAL);
	CHECK_NONE(umcg_register_server(UMCG_NONE, 0), EINVAL);
	CHECK_CALL(umcg_trace_enable(old, true), EINVAL);
}

static void *gone(void *arg)
{
	(void)arg;
	gone_utid = umcg_get_utid();
	return NULL;
}

static void handles(void)
{
	static const umcg_tid wrong[] = { UMCG_NONE, -1, 1, 4711, INTPTR_MIN, INTPTR_MAX };
	umcg_tid utid;

	test_join(test_spawn(gone, NULL));
	for (int i = 0; i < 7; i++) {
		utid = i < 6 ? wrong[i] : gone_utid;
		CHECK_CALL(umcg_wake(utid, false), ESRCH);
		CHECK_CALL(umcg_swap(utid, 0), ESRCH);
		CHECK_CALL(umcg_preempt_worker(utid), ESRCH);
		CHECK_NONE(umcg_run_worker(utid), EINVAL);
		CHECK_CALL(umcg_put_idle_worker(utid), EINVAL);
		CHECK(!umcg_is_preempted(utid), "preempted");
		errno = 0;
		CHECK(umcg_get_task_state(utid) == 0 && errno == ESRCH, "state");
		errno = 0;
		CHECK(umcg_get_task_tag(utid) == 0 && errno == ESRCH, "tag");
		errno = 0;
		umcg_set_task_tag(utid, 1);
		CHECK(errno == ESRCH, "tag");
	}
}

static void *basic(void *arg)
{
	(void)arg;
	basic_utid = test_task(umcg_register_basic_task(7));
	CHECK_NONE(umcg_register_basic_task(0), EINVAL);
	CHECK_NONE(umcg_register_worker(group, 0), EINVAL);
	CHECK_NONE(umcg_get_idle_worker(false), EINVAL);
	CHECK_NONE(umcg_run_worker(worker_utid), EINVAL);
	CHECK_CALL(umcg_swap(worker_utid, 0), EINVAL);
	CHECK_CALL(umcg_swap(umcg_get_utid(), 0), EINVAL);
	CHECK_CALL(umcg_wait(0), 0);
	CHECK_CALL(umcg_unregister_task(), 0);
	return NULL;
}

static void *worker(void *arg)
{
	umcg_t g = (umcg_t)arg;
	umcg_tid self = umcg_get_utid();

	*(g == group ? &worker_utid : &foreign_utid) = self;
	test_task(umcg_register_worker(g, 0));
	CHECK_NONE(umcg_register_worker(g, 0), EINVAL);
	CHECK_NONE(umcg_register_server(g, 0), EINVAL);
	CHECK_NONE(umcg_get_idle_worker(false), EINVAL);
	CHECK_NONE(umcg_run_worker(foreign_utid), EINVAL);
	CHECK_CALL(umcg_swap(self, 0), EINVAL);
	CHECK_CALL(umcg_swap(chief, 0), EINVAL);
	CHECK_CALL(umcg_swap(foreign_utid, 0), EINVAL);
	CHECK_CALL(umcg_wait(0), 0);
	CHECK_CALL(umcg_unregister_task(), 0);
	return NULL;
}

static void tasks(void)
{
	pthread_t a, b, c;
	umcg_tid w;

	group = umcg_create_group(UMCG_GROUP_ENABLE_PREEMPTION);
	other_group = umcg_create_group(0);
	chief = test_task(umcg_register_server(group, 5));
	CHECK(umcg_get_task_tag(chief) == 5, "tag");
	umcg_set_task_tag(chief, -6);
	CHECK(umcg_get_task_tag(chief) == -6, "tag");
	CHECK_NONE(umcg_register_server(group, 0), EINVAL);
	CHECK_CALL(umcg_destroy_group(group), EBUSY);
	handles();

	a = test_spawn(worker, (void *)other_group);
	while (!foreign_utid)
		test_nap(MS);
	b = test_spawn(worker, (void *)group);
	while (!worker_utid)
		test_nap(MS);
	test_state(worker_utid, UMCG_TASK_IDLE);
	test_state(foreign_utid, UMCG_TASK_IDLE);
	c = test_spawn(basic, NULL);
	while (!basic_utid)
		test_nap(MS);
	test_state(basic_utid, UMCG_TASK_IDLE);

	/* On the idle list; of another group; of the wrong kind. */
	CHECK_NONE(umcg_run_worker(worker_utid), EBUSY);
	CHECK_NONE(umcg_run_worker(foreign_utid), EINVAL);
	CHECK_NONE(umcg_run_worker(basic_utid), EINVAL);
	CHECK_NONE(umcg_run_worker(chief), EINVAL);
	CHECK_CALL(umcg_put_idle_worker(worker_utid), EBUSY);
	CHECK_CALL(umcg_put_idle_worker(foreign_utid), EINVAL);
	CHECK_CALL(umcg_put_idle_worker(basic_utid), EINVAL);
	CHECK_CALL(umcg_put_idle_worker(chief), EINVAL);
	CHECK_CALL(umcg_swap(worker_utid, 0), EINVAL);
	CHECK_CALL(umcg_preempt_worker(worker_utid), EAGAIN);
	CHECK_CALL(umcg_preempt_worker(foreign_utid), EINVAL);
	CHECK_CALL(umcg_preempt_worker(basic_utid), EINVAL);

	w = umcg_get_idle_worker(true);
	CHECK(w == worker_utid, "got %lx", (long)w);
	CHECK(umcg_run_worker(w) == w, "did not wait");
	CHECK(umcg_get_task_state(w) == WAITS, "state %lx", (long)umcg_get_task_state(w));
	CHECK_CALL(umcg_put_idle_worker(w), EBUSY);
	CHECK_CALL(umcg_wake(w, false), 0);
	CHECK_NONE(umcg_run_worker(w), EBUSY);
	CHECK(umcg_get_idle_worker(false) == w, "not on the list");
	CHECK(umcg_run_worker(w) == UMCG_NONE && errno == 0, "did not leave");
	CHECK_NONE(umcg_run_worker(w), EINVAL);
	test_join(b);

	CHECK_CALL(umcg_wake(basic_utid, false), 0);
	test_join(c);
	CHECK_CALL(umcg_unregister_task(), 0);
	CHECK_CALL(umcg_destroy_group(group), 0);

	CHECK(umcg_register_server(other_group, 0), "register");
	w = umcg_get_idle_worker(true);
	CHECK(umcg_run_worker(w) == w, "did not wait");
	CHECK(umcg_run_worker(w) == UMCG_NONE && errno == 0, "did not leave");
	test_join(a);
	CHECK_CALL(umcg_unregister_task(), 0);
	CHECK_CALL(umcg_destroy_group(other_group), 0);
}

int main(int argc, char **argv)
{
	test_begin(argc, argv);
	not_registered();
	groups();
	tasks();
	not_registered();
	return 0;
}
