/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What every host of policies needs, and programs that let their user choose one:
 * to find a policy by what the user wrote, to read its options, to name its faults.
 * Nothing here needs a patched kernel, or libumcg.
 */
#ifndef UMCG_HOST_H
#define UMCG_HOST_H

#include <umcg-policy.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

/* Bytes that one sentence about a policy, its options or its file may need. */
#define UMCG_SENTENCE	512

/* The policies that come with the library; the last is NULL. */
extern const struct umcg_policy *const umcg_policies[];

/* A policy as a user asks for it. */
struct umcg_choice {
	const struct umcg_policy *policy;
	const char *options;		/* points into the text that was given; "" */
	void *object;			/* of dlopen(); NULL */
};

/*
 * @text is NAME, FILE.so or ./FILE, then :OPTIONS or nothing. 0, or -1 with one
 * sentence in @why of UMCG_SENTENCE bytes. umcg_unchoose() closes the file: after
 * the last scheduler with that policy.
 */
int umcg_choose(const char *text, struct umcg_choice *choice, char *why);
void umcg_unchoose(struct umcg_choice *choice);

/* Is @policy whole and for this version? @where names it in the sentence in @why. */
int umcg_policy_check(const struct umcg_policy *policy, const char *where, char *why);

/*
 * Read @text, "slice_us=1000,levels=3", into @data, the policy's sched_size bytes,
 * after the values of what is not given. 0, or -1 with one sentence in @why.
 */
int umcg_policy_options(const struct umcg_policy *policy, const char *text, void *data,
			char *why);

/* What can be wrong with a policy while it runs. */
enum umcg_fault {
	UMCG_FAULT_NONE,
	UMCG_FAULT_LOST,	/* a ready thread is not run while a server sleeps */
	UMCG_FAULT_PASSED,	/* one is passed over again and again, without UMCG_MAY_STARVE */
	UMCG_FAULT_TWICE,	/* next() returned one that runs */
	UMCG_FAULT_NOT_READY,	/* next() returned one that is blocked, or has gone */
	UMCG_FAULT_RUBBISH,	/* next() returned what is no thread */
	UMCG_FAULT_CRASHED,	/* SIGSEGV and its like in the policy */
	UMCG_FAULT_STUCK,	/* it does not come back: it spins or sleeps */
	UMCG_FAULT_ERROR,	/* umcg_error() */
};

/* "returned a thread that runs already", to stand after "policy NAME". */
const char *umcg_fault_text(enum umcg_fault fault);

/* "ready" and its like. */
const char *umcg_state_text(uint8_t state);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif /* UMCG_HOST_H */
