/* SPDX-License-Identifier: MIT */
/*
 * The experiment engine: the same C workload on UMCG or on plain pthreads.
 *
 * A caller makes a run with room for its threads and their events, starts one
 * measurement in it (lab_swap() or lab_load(), which return when it is over),
 * may watch and stop it from another thread meanwhile, then reads tasks and
 * events. Everything a measurement writes is allocated before it starts and has
 * one writer, so nothing in a measured path allocates or locks.
 */
#ifndef LAB_ENGINE_H
#define LAB_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#define LAB_MAX_CPUS 64

/* The rest, down to the end mark, is also what cffi reads: plain C only. */
/* cffi: begin */
enum lab_kind {
	LAB_REGISTER, LAB_UNREGISTER, LAB_RUN, LAB_YIELD, LAB_SWAP, LAB_BLOCK,
	LAB_WAKE, LAB_PREEMPT, LAB_TIMEOUT, LAB_WAIT, LAB_OP, LAB_MARK
};

enum lab_state { LAB_NONE, LAB_RUNNING, LAB_IDLE, LAB_BLOCKED };

enum lab_role { LAB_SERVER, LAB_WORKER, LAB_THREAD, LAB_BASIC };

enum lab_method {
	LAB_UMCG_SWAP, LAB_UMCG_WAKE_WAIT, LAB_UMCG_WORKER_SWAP,
	LAB_UMCG_SERVER_WORKER, LAB_FUTEX, LAB_CONDVAR, LAB_PIPE, LAB_EVENTFD,
	LAB_SCHED_YIELD
};

enum lab_work {
	LAB_WORK_SPIN, LAB_WORK_SLEEP, LAB_WORK_PIPE, LAB_WORK_SOCKETPAIR,
	LAB_WORK_LOCK, LAB_WORK_FAULT, LAB_WORK_MIXED, LAB_WORK_STORM_FUTEX,
	LAB_WORK_STORM_WAIT
};

/* One row of the event table; labkit/records.py describes the columns. */
struct lab_event {
	int64_t t;
	int64_t arg;
	int32_t tid;
	int32_t peer;
	int32_t flags;
	int16_t cpu;
	uint8_t kind;
	uint8_t old_state;
	uint8_t new_state;
	uint8_t reserved[7];
};

struct lab_task {
	int32_t tid;
	int32_t role;
	uint64_t ops;		/* finished operations or hand-offs */
	uint64_t cpu_ns;	/* CPU time between start and end */
	uint64_t faults;	/* of pages that had to be read from a disk */
	uint64_t lost;		/* events that found the ring full */
	int64_t lost_states;	/* time of the earliest lost change of a state; 0: none */
	int64_t lost_ops;	/* time of the earliest lost operation; 0: none */
	int64_t lost_last;	/* time of the last lost event */
	uint32_t nr_events;
	int32_t urgent;		/* 1: did urgent requests; a server: dispatched them */
};

struct lab_progress {
	uint64_t ops;		/* all threads together */
	uint32_t live;		/* threads between start and end */
	uint32_t blocked;	/* of those, in a blocking call */
};

struct lab_run;

/*
 * The first @threads threads have room for @events of their own each. What a
 * scheduler decides about all of them is written to one ring of @servers times
 * @server_events, that of the first of the servers after them.
 */
struct lab_room {
	uint32_t threads, events;
	uint32_t servers, server_events;
};

/* A run with that room; NULL with errno. */
struct lab_run *lab_new(const struct lab_room *room);
void lab_free(struct lab_run *run);

/* Ask whatever runs in @run to end; any thread, any time, repeatable. */
void lab_stop(struct lab_run *run);
void lab_get_progress(struct lab_run *run, struct lab_progress *out);

/* After a measurement: threads that took part, by index. */
uint32_t lab_nr_tasks(struct lab_run *run);
void lab_get_task(struct lab_run *run, uint32_t index, struct lab_task *out);
const struct lab_event *lab_get_events(struct lab_run *run, uint32_t index);
/* What failed when a measurement returned -1 (errno is the cause). */
const char *lab_failure(struct lab_run *run);

enum lab_said { LAB_SAID_NOTHING, LAB_SAID_CHOICE, LAB_SAID_FAULT };

/*
 * What the scheduler said when a measurement failed, and what it is: a sentence
 * about a policy that cannot be had, or the report of one that is wrong.
 */
enum lab_said lab_said_what(struct lab_run *run);
const char *lab_said(struct lab_run *run);

/* What schedules the workers of a run over servers. */
struct lab_policy {
	const char *name;	/* as umcg_choose() reads it */
	intptr_t own;		/* or a struct umcg_policy, by lab_proxy_use(); 0 */
	intptr_t binding;	/* of that one */
	uint64_t watchdog_ns;	/* 0: the library's own */
	uint64_t seed;
	/*
	 * UMCG_SCHED_PASS_ON. Servers are not told of all blocks then: what the scheduler
	 * decides is not written, nor the states of workers, of which it would miss some.
	 */
	int32_t pass_on;
};

/* Does the policy of this name permit it? */
int lab_may_pass_on(const char *policy);

/* A call of a policy whose functions another thread carries out; see umcg-policy.h. */
enum lab_call {
	LAB_CALL_INIT, LAB_CALL_READY, LAB_CALL_NEXT, LAB_CALL_STOPPED, LAB_CALL_SLICE,
	LAB_CALL_BEFORE, LAB_CALL_DUMP
};

struct lab_asked {
	int32_t call;
	int32_t why;		/* ready, stopped */
	intptr_t sched;
	intptr_t thread;	/* all but init, next, dump */
	intptr_t other;		/* before: the one that runs */
	uint64_t ran_ns;	/* stopped */
	uint32_t server;	/* next */
};

struct lab_proxy;
/*
 * The thread that carries them out waits for calls with lab_proxy_wait() while the
 * measurement goes on, which waits for its answers. NULL: no memory.
 */
struct lab_proxy *lab_proxy_new(const char *name, uint32_t flags, bool has_slice, bool has_before);
void lab_proxy_free(struct lab_proxy *proxy);
/* The workers' policy is this one. */
void lab_proxy_use(struct lab_proxy *proxy, struct lab_policy *policy);
/* The next call, to be answered; false: there was none for so long, or it is closed. */
bool lab_proxy_wait(struct lab_proxy *proxy, uint64_t ns, struct lab_asked *asked);
/* init: 0 if it went well; next: the thread's address, or 0; slice: ns; before: 0 or 1. */
void lab_proxy_answer(struct lab_proxy *proxy, uint64_t answer);
/* No call is answered any more, for this reason; @dump is what the policy says of itself. */
void lab_proxy_close(struct lab_proxy *proxy, const char *why, const char *dump);
/* While a call waits for its answer: the kernel thread id of a thread by its id; 0: gone. */
int32_t lab_proxy_tid(intptr_t sched, uint32_t thread);

/* Turns of the spin loop in a microsecond of this CPU. */
double lab_spin_rate(void);

struct lab_swap {
	int32_t method;		/* enum lab_method */
	int32_t cpu;		/* both threads on this CPU; -1: wherever */
	int32_t other_cpu;	/* with cpu: the second thread on this one; -1: as the first */
	uint64_t warmup;	/* round trips before the clock starts */
	uint64_t rounds;	/* round trips measured: two switches each */
	uint64_t duration_ns;	/* end after this time, warm up for a 20th of it; 0 */
	uint64_t done;		/* out: round trips measured until a stop */
	uint64_t elapsed_ns;	/* out: what they took */
};

/* Two threads hand one turn back and forth. 0, or -1 with errno. */
int lab_swap(struct lab_run *run, struct lab_swap *swap);

struct lab_load {
	int32_t umcg;		/* 1: workers over servers; 0: plain threads */
	int32_t work;		/* enum lab_work, of the ordinary workers */
	uint32_t workers;
	uint32_t servers;	/* ignored without UMCG */
	uint32_t urgent;	/* how many of the workers do urgent requests */
	uint32_t nr_cpus;	/* everything runs on these; 0: wherever */
	int32_t cpus[LAB_MAX_CPUS];
	uint64_t duration_ns;	/* 0: until stopped */
	uint64_t max_ops;	/* end after so many storms, or operations of all; 0 */
	uint64_t busy_turns;	/* spin loop turns of one operation */
	uint64_t urgent_turns;	/* of one urgent request */
	uint64_t idle_ns;	/* sleep, device latency, pause between storms */
	struct lab_policy policy;	/* UMCG only */
	int32_t file;		/* faults: of a page or more for each worker */
	intptr_t group;		/* run the workers in it, servers are yours; 0 */
	uint64_t elapsed_ns;	/* out */
	uint64_t preempts;	/* out: preemptions asked for and accepted */
	uint64_t helpers_ns;	/* out: CPU time of the scheduler beside its servers */
};

/* Many threads work for a while. 0, or -1 with errno. */
int lab_load(struct lab_run *run, struct lab_load *load);

/*
 * Put workers of a running lab_load() that a server took and never ran back on
 * their group's list. For a server of that group, before it serves.
 */
void lab_hand_back(struct lab_run *run);

/*
 * Several servers that serve together until @workers workers have unregistered.
 * NULL with errno. Free it when all of them are back.
 */
struct lab_service;
struct lab_service *lab_service_new(uint32_t workers, uint32_t servers);
/* How many of the workers have not unregistered yet. */
uint32_t lab_service_left(struct lab_service *service);
/* Any thread: its servers leave, each as soon as no worker is on its place. */
void lab_service_end(struct lab_service *service);
/* umcg_wake() for a thread that need not be a task; nothing if a wake-up is queued already. */
void lab_wake(intptr_t task);
void lab_service_free(struct lab_service *service);
/*
 * The calling thread, a registered server, serves: workers that became ready
 * first, then the preempted, each in order of arrival. 0, or -1 with errno; after
 * EINTR call it again.
 */
int lab_serve(struct lab_service *service);
/* cffi: end */

#endif
