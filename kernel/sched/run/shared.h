/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What umcg-run and the library that it puts into programs both know: the settings in
 * the environment, and the memory in which each thread says what it is. umcg-run
 * reads that memory when the program has ended, however that was.
 */
#ifndef UMCG_RUN_SHARED_H
#define UMCG_RUN_SHARED_H

#include <stdatomic.h>
#include <pthread.h>

#include <umcg-sched.h>

#define RUN_SETTINGS	"UMCG_RUN"		/* "servers=N main=0|1 trace=0|1 shared=PATH policy=TEXT" */
#define RUN_CLASSES	"UMCG_RUN_CLASSES"	/* the text of the file with the rules */
#define RUN_LIBRARY	"libumcg-run.so"
#define RUN_PATH	512

#define RUN_MAGIC	0x756d63672d72756eULL
#define RUN_LAYOUT	3U
#define RUN_SERVERS	256U
#define RUN_PASS_SERVERS	(UMCG_MAX_SLOTS - 2U)	/* as umcg_sched_create() has it */
#define RUN_PROCESSES	1024U
#define RUN_THREADS	65536U
#define RUN_RINGS	32U	/* so many processes can be traced */
#define RUN_RING	32768U	/* events of one that wait to be read */
#define RUN_NAME	16U	/* of a thread, with its end */
#define RUN_ENTRY	64U

/* Latencies are counted by powers of two, each in so many parts. */
#define RUN_PARTS	4U
#define RUN_BUCKETS	(40U * RUN_PARTS)

/* Requests of one thread: from where it got one to where it asks for the next. In ns. */
struct run_requests {
	uint64_t count, sum_ns, longest_ns;
	uint32_t took[RUN_BUCKETS];
};

enum run_state {
	RUN_FREE,
	RUN_THERE,	/* or about to be */
	RUN_ENDED,	/* its server may not have seen it yet: see stats.state */
};

/* A process in which servers were made. */
struct run_process {
	int32_t pid;
	char name[RUN_NAME];
	_Atomic uint32_t threads;	/* made so far */
	_Atomic uint32_t unseen;	/* of those: there was no room for a record */
};

struct run_record {
	_Atomic uint32_t state;		/* enum run_state */
	uint32_t process;
	uint32_t order;			/* the process's first thread is 1; 0: its main thread */
	int32_t tid;
	int32_t nice;
	int32_t rule;			/* line of the rule that it matched; 0: none */
	bool scheduled;
	bool loose;			/* in no table: there was no room */
	char name[RUN_NAME];
	char entry[RUN_ENTRY];		/* symbol of the start routine, or FILE+0xOFFSET */
	struct umcg_sched_attr attr;	/* what it was given */
	struct umcg_sched_thread_stats stats;
	struct run_requests requests;
	/* For its own process alone. */
	umcg_tid task;
	pthread_t thread;
	void *(*start)(void *arg);
	int (*start_c11)(void *arg);
	void *arg;
	uint32_t rounds;		/* of destructors */
	uint64_t deadline_us;		/* of each request, by its rule; 0 */
	uint64_t request_ns;		/* when the present one began; 0: none */
	uint64_t asked_ns;		/* when the thread asked for more, and its stamp then */
	uint64_t asked_stamp;
	int request_fd;			/* where the present one came from */
	bool announced;			/* by poll() and its like: what is read next is this request's */
	bool answered;			/* something was sent since it began */
};

/* The bucket of @ns, and the least that is beyond that bucket. */
static inline uint32_t run_bucket(uint64_t ns)
{
	uint32_t power = 63U - (uint32_t)__builtin_clzll(ns | RUN_PARTS);
	uint32_t bucket = (power - 2) * RUN_PARTS + (uint32_t)(ns >> (power - 2)) % RUN_PARTS;

	return bucket < RUN_BUCKETS ? bucket : RUN_BUCKETS - 1;
}

static inline uint64_t run_bucket_end(uint32_t bucket)
{
	return (uint64_t)(RUN_PARTS + bucket % RUN_PARTS + 1) << (bucket / RUN_PARTS);
}

/* Beside enum umcg_sched_event_kind: a request is over; @arg: how long it took. */
#define RUN_EVENT_REQUEST	100U

/* An event: a decision of the scheduler's (struct umcg_sched_event), or a request. */
struct run_event {
	_Atomic uint64_t written;	/* its number + 1, when the rest is there */
	uint64_t time_ns, arg;
	int32_t tid;
	uint32_t server;
	uint16_t kind, why;
};

/*
 * Many write, umcg-run reads. A number is taken only while there is room, so that what
 * has not been read is never written over; what finds none is counted.
 */
struct run_ring {
	_Alignas(64) _Atomic uint64_t put;
	_Atomic uint64_t lost;
	_Alignas(64) _Atomic uint64_t got;
	struct run_event event[RUN_RING];
};

struct run_shared {
	uint64_t magic;
	uint32_t layout;
	_Atomic uint32_t processes, records;	/* handed out; may be more than there are */
	struct run_process process[RUN_PROCESSES];
	struct run_record record[RUN_THREADS];
	struct run_ring ring[RUN_RINGS];	/* by process, with --trace */
};

#endif /* UMCG_RUN_SHARED_H */
