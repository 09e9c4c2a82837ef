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
 * turns. So one of n waits for n turns * 100 / N, or less. Short ones are served in their
 * order then: beside new ones without end, one that has run a little longer would starve.
 */
#include <umcg-policy.h>
#include <umcg-queue.h>

struct las {
	uint64_t quantum_us, wait_ms, levels, boost_ms, long_percent, wake, known, preempt;
	uint64_t boosts;		/* how often all have come back to the top */
	int64_t owed_ns;		/* service that long requests have still to get */
	struct umcg_queue queue, longs;	/* longs: only with long_percent */
};

struct las_thread {
	struct umcg_entry entry;
	struct umcg_attained attained;	/* counts anew with each of @boosts */
	bool is_long;			/* it waits in @longs */
	bool aged;			/* its turn is one of those that long requests are owed */
};

static const struct umcg_option las_options[] = {
	UMCG_OPTION(struct las, quantum_us, "turn, and by how much one must be ahead, in microseconds", 1000, 1, 1000000000),
	UMCG_OPTION(struct las, wait_ms, "a thread that waits for so many milliseconds goes first; 0: no bound", 1000, 0, 1000000000),
	UMCG_OPTION(struct las, levels, "queues of a multilevel feedback queue; 0: exact service", 0, 0, 32),
	UMCG_OPTION(struct las, boost_ms, "all begin anew every so many milliseconds; 0: never", 0, 0, 1000000000),
	UMCG_OPTION(struct las, long_percent, "of all service, what requests longer than a turn get at least", 0, 0, 100),
	UMCG_OPTION(struct las, wake, "1: a wake-up begins a request", 0, 0, 1),
	UMCG_OPTION(struct las, known, "1: expected service is known, shortest remainder first", 0, 0, 1),
	UMCG_OPTION(struct las, preempt, "0: a thread runs until it blocks", 1, 0, 1),
	{ .name = NULL }
};

static uint64_t las_service(struct umcg_sched *s, const struct umcg_sched_thread *t)
{
	const struct las_thread *mine = umcg_thread_data(t);

	return umcg_attained_ns(s, t, &mine->attained);
}

static bool las_is_long(struct umcg_sched *s, const struct umcg_sched_thread *t)
{
	const struct las *las = umcg_sched_data(s);

	return las_service(s, t) >= las->quantum_us * 1000;
}

/* The smallest goes first: ns of service or of what is left, a level, or whether it is long. */
static uint64_t las_rank(struct umcg_sched *s, const struct umcg_sched_thread *t)
{
	const struct las *las = umcg_sched_data(s);
	uint64_t service = las_service(s, t);

	if (las->known && t->expected_ns)
		return t->expected_ns > service ? t->expected_ns - service : 0;
	if (las->long_percent)
		return las_is_long(s, t);
	if (!las->levels)
		return service;
	return umcg_level_of(las->quantum_us * 1000, las->levels, service);
}

static void las_ready(struct umcg_sched *s, struct umcg_sched_thread *t, enum umcg_why why)
{
	struct las *las = umcg_sched_data(s);
	struct las_thread *mine = umcg_thread_data(t);

	umcg_attained_begin(&mine->attained, t, las->boosts, las->wake && why == UMCG_WHY_WOKEN);
	mine->aged = false;
	mine->is_long = las->long_percent && las_is_long(s, t);
	(why == UMCG_WHY_PREEMPTED ? umcg_queue_put_first : umcg_queue_put)
		(mine->is_long ? &las->longs : &las->queue, &mine->entry, las_rank(s, t));
}

static uint64_t las_rank_anew(struct umcg_sched *s, struct umcg_sched_thread *t)
{
	const struct las *las = umcg_sched_data(s);
	struct las_thread *mine = umcg_thread_data(t);

	umcg_attained_begin(&mine->attained, t, las->boosts, false);
	return las_rank(s, t);
}

/* All that wait come back to the top if it is time; those that run do when they are back. */
static void las_boost(struct umcg_sched *s, struct las *las)
{
	uint64_t boosts = las->boost_ms ? umcg_now(s) / (las->boost_ms * 1000000) : 0;

	if (las->boosts == boosts)
		return;
	las->boosts = boosts;
	umcg_queue_sort(s, &las->queue, las_rank_anew);
}

/* What long requests are owed by @t's turn. Neither side's debt lasts for more than some turns. */
static void las_stopped(struct umcg_sched *s, struct umcg_sched_thread *t, enum umcg_why why,
			uint64_t ran_ns)
{
	struct las *las = umcg_sched_data(s);
	int64_t most = (int64_t)(las->quantum_us * 1000 * 2 * s->servers), owed = las->owed_ns;

	(void)why;
	if (las->queue.ages.first || las->longs.ages.first)
		owed += (int64_t)(ran_ns * las->long_percent / 100);
	if (las_is_long(s, t))
		owed -= (int64_t)ran_ns;
	las->owed_ns = owed > most ? most : owed < -most ? -most : owed;
}

/* Has @t, the oldest of its queue, waited for too long? */
static bool las_is_due(struct umcg_sched *s, const struct las *las, const struct umcg_sched_thread *t)
{
	return t && las->wait_ms && umcg_now(s) - t->ready_ns >= las->wait_ms * 1000000;
}

static struct umcg_sched_thread *las_next(struct umcg_sched *s, uint32_t server)
{
	struct las *las = umcg_sched_data(s);
	struct umcg_sched_thread *t, *old = umcg_queue_oldest(&las->queue);
	struct umcg_sched_thread *longest = umcg_queue_oldest(&las->longs);
	struct las_thread *mine;
	bool aged;

	(void)server;
	las_boost(s, las);
	aged = longest && (las->owed_ns > 0 || las_is_due(s, las, longest));
	t = aged || !old ? longest : las_is_due(s, las, old) ? old : umcg_queue_first(&las->queue);
	if (!t)
		return NULL;
	mine = umcg_thread_data(t);
	mine->aged = aged;
	umcg_queue_remove(mine->is_long ? &las->longs : &las->queue, &mine->entry);
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
		return umcg_level_end(las->quantum_us * 1000, level) - las_service(s, t);
	return (las->quantum_us * 1000) << level;
}

static bool las_before(struct umcg_sched *s, const struct umcg_sched_thread *a,
		       const struct umcg_sched_thread *b)
{
	const struct las *las = umcg_sched_data(s);
	const struct las_thread *other = umcg_thread_data(b);
	uint64_t ahead = las->levels || las->known || las->long_percent ? 1 : las->quantum_us * 1000;

	if (other->aged && umcg_turn_ns(s, b) < las->quantum_us * 1000)
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

	umcg_queue_print(s, &las->queue);
	if (las->long_percent)
		umcg_queue_print(s, &las->longs);
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
