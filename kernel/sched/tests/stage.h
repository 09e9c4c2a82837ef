/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * A host whose events are the test's: it says what becomes ready and when, and
 * looks what the policy chooses. Needs no kernel and no threads.
 */
#ifndef STAGE_H
#define STAGE_H

#include <umcg-host.h>

#define STAGE_THREADS	57	/* A .. y */
#define STAGE_SERVERS	4

#define CHECK(cond, ...) \
	do { \
		if (!(cond)) \
			stage_fail(__FILE__, __LINE__, #cond, __VA_ARGS__); \
	} while (0)

void stage_fail(const char *file, int line, const char *cond, const char *format, ...)
	__attribute__((format(printf, 4, 5), noreturn));

/* Begin anew with policy @choice, "NAME:OPTIONS"; threads are A, B, ... and 0, 1, ... */
void stage_open(const char *choice, uint32_t servers);
/* As stage_open() of something that is refused: the sentence. */
const char *stage_refused(const char *choice);
struct umcg_sched_thread *stage_thread(char name);
struct umcg_sched *stage_sched(void);
void stage_time(uint64_t us);

/* These keep the thread's state and times as a host does. */
void stage_ready(const char *names, enum umcg_why why);	/* one after the other */
char stage_next(uint32_t server);			/* what it runs now; '-': nothing */
void stage_stop(char name, enum umcg_why why);		/* with ready(), where it goes with it */
/* @name has ended: its slot is another thread's now, with bytes of zero. */
void stage_renew(char name);
/* Take turns of @slice_us on server 0, each expired, @turns of them: "ABAB". */
const char *stage_turns(unsigned int turns, uint64_t slice_us);
/* What dump() says. */
const char *stage_dump(void);
/* How often each server was kicked. */
extern unsigned int stage_kicks[STAGE_SERVERS];

#endif /* STAGE_H */
