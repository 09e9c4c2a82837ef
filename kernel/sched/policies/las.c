// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * las: least attained service. The thread that has run least in its present
 * request goes first, so short requests pass long ones, and nothing has to say which
 * is short. With levels=N it is the multilevel feedback queue: a thread sinks a level
 * when it has used up that level's share, which doubles from one to the next, and
 * with boost_ms=N all come back to the top again and again. With known=1, where
 * programs say how long a request will take, the shortest remainder goes first
 * (and with preempt=0 too, the shortest job).
 *
 * Good for servers with a few long requests among many short ones. Fails for long
 * requests that all are of about the same length: they share the server and all
 * end late. Long ones that wait for wait_ms go first, so none starves; but where
 * threads say nothing of requests, service counts from their beginning, and those
 * that live long get the place of a long request (wake=1: a wake-up begins one).
 *
 * With long_percent=N those that have had a turn's length already get, together, so
 * much of all service, the longest waiting first, and a short one does not cut their
 * turns. So one of n waits for n turns * 100 / N, or less.
 */
#include <umcg-policy.h>
#include <umcg-queue.h>

struct las {
	uint64_t quantum_us, wait_ms, levels, boost_ms, long_percent, wake, known, preempt;
	uint64_t boosts;		/* how often all have come back to the top */
	int64_t owed_ns;		/* service that long requests have still to get */
	struct umcg_heap queue;		/* by rank */
	struct umcg_list waiting;	/* the same threads, the longest waiting first */
};

struct las_thread {
	struct umcg_node node;
	struct umcg_link link;
	uint64_t base_ns;		/* service of the request that does not count */
	uint64_t request_ns;		/* which request that was */
	uint64_t boosts;
	bool aged;			/* its turn is one of those that long requests are owed */
};

#define LAS_OPTION(field, text, value, least, most) {			\
	.name = #field, .help = text, .otherwise = value, .min = least,	\
	.max = most, .offset = offsetof(struct las, field),		\
}

static const struct umcg_option las_options[] = {
	LAS_OPTION(quantum_us, "turn, and by how much one must be ahead, in microseconds", 1000, 1, 1000000000),
	LAS_OPTION(wait_ms, "a thread that waits for so many milliseconds goes first; 0: no bound", 1000, 0, 1000000000),
	LAS_OPTION(levels, "queues of a multilevel feedback queue; 0: exact service", 0, 0, 32),
	LAS_OPTION(boost_ms, "all begin anew every so many milliseconds; 0: never", 0, 0, 1000000000),
	LAS_OPTION(long_percent, "of all service, what requests longer than a turn get at least", 0, 0, 100),
	LAS_OPTION(wake, "1: a wake-up begins a request", 0, 0, 1),
	LAS_OPTION(known, "1: expected service is known, shortest remainder first", 0, 0, 1),
	LAS_OPTION(preempt, "0: a thread runs until it blocks", 1, 0, 1),
	{ .name = NULL }
};

/* A thread leaves @level when it has had so much service, in ns. */
static uint64_t las_level_end(const struct las *las, uint64_t level)
{
	return las->quantum_us * 1000 * ((2ULL << level) - 1);
}

/* Service that counts, in ns. */
static uint64_t las_service(struct umcg_sched *s, const struct umcg_sched_thread *t)
{
	const struct las_thread *mine = umcg_thread_data(t);
	uint64_t service = t->request_service_ns + umcg_turn_ns(s, t);

	return service > mine->base_ns ? service - mine->base_ns : 0;
}

/* The smallest goes first: ns of service or of what is left, or a level. */
static uint64_t las_rank(struct umcg_sched *s, const struct umcg_sched_thread *t)
{
	const struct las *las = umcg_sched_data(s);
	uint64_t service = las_service(s, t), level = 0;

	if (las->known && t->expected_ns)
		return t->expected_ns > service ? t->expected_ns - service : 0;
	if (!las->levels)
		return service;
	while (level + 1 < las->levels && service >= las_level_end(las, level))
		level++;
	return level;
}

/* What does not count of @t's service: another request's, or before a boost. */
static void las_begin(const struct las *las, struct umcg_sched_thread *t, enum umcg_why why)
{
	struct las_thread *mine = umcg_thread_data(t);

	if (mine->request_ns != t->request_ns)
		mine->base_ns = 0;
	if (mine->boosts != las->boosts || (las->wake && why == UMCG_WHY_WOKEN))
		mine->base_ns = t->request_service_ns;
	mine->request_ns = t->request_ns;
	mine->boosts = las->boosts;
}

static void las_ready(struct umcg_sched *s, struct umcg_sched_thread *t, enum umcg_why why)
{
	struct las *las = umcg_sched_data(s);
	struct las_thread *mine = umcg_thread_data(t);

	las_begin(las, t, why);
	mine->aged = false;
	(why == UMCG_WHY_PREEMPTED ? umcg_heap_put_first : umcg_heap_put)
		(&las->queue, &mine->node, las_rank(s, t));
	umcg_list_put(&las->waiting, &mine->link);
}

static struct umcg_sched_thread *las_of_link(struct umcg_link *link)
{
	return umcg_thread_of((char *)link - offsetof(struct las_thread, link));
}

/* All that wait come back to the top; those that run do when they are back. */
static void las_boost(struct umcg_sched *s)
{
	struct las *las = umcg_sched_data(s);

	las->boosts = umcg_now(s) / (las->boost_ms * 1000000);
	las->queue = (struct umcg_heap){ .root = NULL };
	for (struct umcg_link *link = las->waiting.first; link; link = link->next) {
		struct umcg_sched_thread *t = las_of_link(link);
		struct las_thread *mine = umcg_thread_data(t);

		las_begin(las, t, UMCG_WHY_EXPIRED);
		umcg_heap_put(&las->queue, &mine->node, las_rank(s, t));
	}
}

static bool las_is_long(struct umcg_sched *s, const struct umcg_sched_thread *t)
{
	const struct las *las = umcg_sched_data(s);

	return las_service(s, t) >= las->quantum_us * 1000;
}

/* What long requests are owed by @t's turn. Neither side's debt lasts for more than some turns. */
static void las_stopped(struct umcg_sched *s, struct umcg_sched_thread *t, enum umcg_why why,
			uint64_t ran_ns)
{
	struct las *las = umcg_sched_data(s);
	const int64_t most = (int64_t)(las->quantum_us * 1000 * 2 * s->servers);
	int64_t owed = las->owed_ns;

	(void)why;
	if (las->waiting.first)
		owed += (int64_t)(ran_ns * las->long_percent / 100);
	if (las_is_long(s, t))
		owed -= (int64_t)ran_ns;
	las->owed_ns = owed > most ? most : owed < -most ? -most : owed;
}

static struct umcg_sched_thread *las_next(struct umcg_sched *s, uint32_t server)
{
	struct las *las = umcg_sched_data(s);
	struct umcg_sched_thread *t;
	struct las_thread *mine;
	bool aged;

	(void)server;
	if (!las->waiting.first)
		return NULL;
	if (las->boost_ms && las->boosts != umcg_now(s) / (las->boost_ms * 1000000))
		las_boost(s);
	t = las_of_link(las->waiting.first);
	aged = (las->wait_ms && umcg_now(s) - t->ready_ns >= las->wait_ms * 1000000) ||
	       (las->owed_ns > 0 && las_is_long(s, t));
	if (!aged)
		t = umcg_thread_of(las->queue.root);
	mine = umcg_thread_data(t);
	mine->aged = aged && las->long_percent;
	umcg_heap_remove(&las->queue, &mine->node);
	umcg_list_remove(&las->waiting, &mine->link);
	return t;
}

static uint64_t las_slice(struct umcg_sched *s, struct umcg_sched_thread *t)
{
	const struct las *las = umcg_sched_data(s);
	uint64_t level = las_rank(s, t);

	if (!las->preempt || (las->known && t->expected_ns))
		return 0;
	if (!las->levels)
		return las->quantum_us * 1000;
	if (level + 1 < las->levels)
		return las_level_end(las, level) - las_service(s, t);
	return (las->quantum_us * 1000) << level;
}

static bool las_before(struct umcg_sched *s, const struct umcg_sched_thread *a,
		       const struct umcg_sched_thread *b)
{
	const struct las *las = umcg_sched_data(s);
	uint64_t ahead = las->levels || las->known ? 1 : las->quantum_us * 1000;

	if (((const struct las_thread *)umcg_thread_data(b))->aged &&
	    umcg_turn_ns(s, b) < las->quantum_us * 1000)
		return false;
	return las->preempt && las_rank(s, a) + ahead <= las_rank(s, b);
}

static int las_init(struct umcg_sched *s)
{
	const struct las *las = umcg_sched_data(s);

	if (!las->wait_ms || !las->preempt)
		s->flags |= UMCG_MAY_STARVE;
	/* Each wake-up matters. */
	if (las->wake)
		s->flags &= ~UMCG_MAY_PASS_ON;
	if (!!las->levels + !!las->known + !!las->long_percent > 1) {
		umcg_error(s, "levels, known and long_percent exclude each other");
		return -1;
	}
	return 0;
}

static void las_dump(struct umcg_sched *s)
{
	const struct las *las = umcg_sched_data(s);

	umcg_print(s, "queue of %u", las->queue.length);
	if (las->queue.root)
		umcg_print(s, ", first %u with rank %llu", umcg_thread_of(las->queue.root)->id,
			   (unsigned long long)las->queue.root->key);
	if (las->waiting.first)
		umcg_print(s, ", %u waits longest", las_of_link(las->waiting.first)->id);
	umcg_print(s, "\n");
}

UMCG_POLICY(las,
	.summary = "least attained service, short work first without being told which is short; "
		   "long requests of equal length all end late",
	.flags = UMCG_MAY_PASS_ON,
	.sched_size = sizeof(struct las),
	.thread_size = sizeof(struct las_thread),
	.options = las_options,
	.init = las_init,
	.ready = las_ready,
	.next = las_next,
	.stopped = las_stopped,
	.slice = las_slice,
	.before = las_before,
	.dump = las_dump
);
