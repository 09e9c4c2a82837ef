// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* The policies that come with the library, and what is said of any policy. */
#include <stdio.h>

#include <umcg-host.h>

/* In the order in which one reads them; the first is what you get without asking. */
#define ALL(POLICY) \
	POLICY(fifo) POLICY(lifo) POLICY(rr) POLICY(priority) POLICY(las) \
	POLICY(edf) POLICY(fair) POLICY(reserve) POLICY(steal)

#define DECLARE(id) extern const struct umcg_policy umcg_policy_##id;
#define LIST(id) &umcg_policy_##id,
ALL(DECLARE)
const struct umcg_policy *const umcg_policies[] = { ALL(LIST) NULL };

/* More is a mistake: a thread's bytes are there for every thread, of a million. */
#define MAX_THREAD_SIZE	4096U
#define MAX_SIZE	(1U << 24)

int umcg_policy_check(const struct umcg_policy *policy, const char *where, char *why)
{
	const char *missing = NULL;

	if (policy->abi != UMCG_POLICY_ABI || policy->size != sizeof(*policy)) {
		snprintf(why, UMCG_SENTENCE, "%s was compiled for version %u of the policy interface, "
			 "and this is version %u: compile it again with the headers that belong "
			 "to this library", where, policy->abi, UMCG_POLICY_ABI);
		return -1;
	}
	if (!policy->name || !*policy->name)
		missing = "name";
	else if (!policy->ready)
		missing = "ready()";
	else if (!policy->next)
		missing = "next()";
	if (missing) {
		snprintf(why, UMCG_SENTENCE, "the policy in %s has no %s", where, missing);
		return -1;
	}
	if (policy->thread_size > MAX_THREAD_SIZE || policy->server_size > MAX_SIZE ||
	    policy->sched_size > MAX_SIZE) {
		snprintf(why, UMCG_SENTENCE, "the policy in %s wants more memory than there is for one: "
			 "%u bytes in each thread, %u in each server or for itself are the most",
			 where, MAX_THREAD_SIZE, MAX_SIZE);
		return -1;
	}
	return 0;
}

const char *umcg_fault_text(enum umcg_fault fault)
{
	switch (fault) {
	case UMCG_FAULT_NONE:
		return "is well";
	case UMCG_FAULT_LOST:
		return "has lost a thread: it is ready, a server sleeps, and next() does not return it";
	case UMCG_FAULT_PASSED:
		return "passes a ready thread over again and again (if that is meant, it says UMCG_MAY_STARVE)";
	case UMCG_FAULT_TWICE:
		return "returned a thread from next() that runs already";
	case UMCG_FAULT_NOT_READY:
		return "returned a thread from next() that is not ready";
	case UMCG_FAULT_RUBBISH:
		return "returned a pointer from next() that is no thread";
	case UMCG_FAULT_CRASHED:
		return "crashed";
	case UMCG_FAULT_STUCK:
		return "does not come back: it spins or sleeps";
	case UMCG_FAULT_ERROR:
		return "reported an error";
	}
	return "did something unknown";
}

const char *umcg_state_text(uint8_t state)
{
	static const char *const text[] = {
		[UMCG_SCHED_NONE] = "gone", [UMCG_SCHED_READY] = "ready",
		[UMCG_SCHED_RUNNING] = "running", [UMCG_SCHED_BLOCKED] = "blocked",
	};

	return state < sizeof(text) / sizeof(*text) ? text[state] : "unknown";
}
