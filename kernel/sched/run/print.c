// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* What the threads were and did, from the memory that they shared with us. */
#include "umcg-run.h"

/* Times in ms; a thread that is still there may be in a turn that is not counted yet. */
static const char head[] =
	"     tid name             entry                    class    turns   blocked preempted   expired   yielded"
	"       ran    waited  longest\n";

static const char *end_of(const struct run_record *r)
{
	if (!r->scheduled)
		return "  plain";
	return r->state == RUN_THERE ? "  not ended" : "";
}

static void print_thread(FILE *out, const struct run_record *r)
{
	const struct umcg_sched_thread_stats *s = &r->stats;

	fprintf(out, "%8d %-16.15s %-24.24s %5u %8llu %9llu %9llu %9llu %9llu %9.1f %9.1f %8.1f%s\n", (int)r->tid,
		r->name, r->entry, r->attr.klass, (unsigned long long)s->turns,
		(unsigned long long)(s->blocked + s->waited), (unsigned long long)s->preempted,
		(unsigned long long)s->expired, (unsigned long long)s->yielded, (double)s->ran_ns / 1e6,
		(double)s->ready_ns / 1e6, (double)s->longest_turn_ns / 1e6, end_of(r));
}

static void add(struct umcg_sched_thread_stats *sum, const struct umcg_sched_thread_stats *s)
{
	sum->turns += s->turns;
	sum->blocked += s->blocked + s->waited;
	sum->preempted += s->preempted;
	sum->expired += s->expired;
	sum->yielded += s->yielded;
	sum->ran_ns += s->ran_ns;
	sum->ready_ns += s->ready_ns;
	if (s->longest_turn_ns > sum->longest_turn_ns)
		sum->longest_turn_ns = s->longest_turn_ns;
}

static uint32_t used(uint32_t handed_out, uint32_t room)
{
	return handed_out < room ? handed_out : room;
}

/* The least latency, in ns, that @percent of @all took no longer than; a quarter too much at the most. */
static uint64_t percentile(const struct run_requests *all, double percent)
{
	double wanted = (double)all->count * percent / 100;
	uint64_t seen = 0;
	uint32_t i;

	for (i = 0; i < RUN_BUCKETS - 1; i++) {
		seen += all->took[i];
		if ((double)seen >= wanted)
			break;
	}
	return run_bucket_end(i) < all->longest_ns ? run_bucket_end(i) : all->longest_ns;
}

static void add_requests(struct run_requests *sum, const struct run_requests *r)
{
	sum->count += r->count;
	sum->sum_ns += r->sum_ns;
	if (r->longest_ns > sum->longest_ns)
		sum->longest_ns = r->longest_ns;
	for (uint32_t i = 0; i < RUN_BUCKETS; i++)
		sum->took[i] += r->took[i];
}

/* By class, as these are what one compares. */
static void print_requests(FILE *out, const struct run_shared *shared, uint32_t index)
{
	for (uint32_t klass = 0, next; klass <= UINT16_MAX; klass = next) {
		struct run_requests sum = { 0 };

		next = UINT16_MAX + 1U;
		for (uint32_t i = 0; i < used(shared->records, RUN_THREADS); i++) {
			const struct run_record *r = &shared->record[i];

			if (r->state == RUN_FREE || r->process != index || !r->requests.count)
				continue;
			if (r->attr.klass == klass)
				add_requests(&sum, &r->requests);
			else if (r->attr.klass > klass && r->attr.klass < next)
				next = r->attr.klass;
		}
		if (sum.count)
			fprintf(out, "requests of class %u: %llu, mean %.3f, half within %.3f, 99 %% within %.3f, longest %.3f\n",
				klass, (unsigned long long)sum.count, (double)sum.sum_ns / (double)sum.count / 1e6,
				(double)percentile(&sum, 50) / 1e6, (double)percentile(&sum, 99) / 1e6,
				(double)sum.longest_ns / 1e6);
	}
}

static void print_process(FILE *out, const struct run_shared *shared, uint32_t index)
{
	const struct run_process *p = &shared->process[index];
	struct run_record sum = { .name = "all", .scheduled = true, .state = RUN_ENDED };

	fprintf(out, "umcg-run: process %d (%s), %u threads; times in ms\n%s", (int)p->pid, p->name, p->threads, head);
	for (uint32_t i = 0; i < used(shared->records, RUN_THREADS); i++) {
		const struct run_record *r = &shared->record[i];

		if (r->state == RUN_FREE || !r->tid || r->process != index)
			continue;
		print_thread(out, r);
		add(&sum.stats, &r->stats);
	}
	print_thread(out, &sum);
	print_requests(out, shared, index);
	if (p->unseen)
		fprintf(out, "and %u threads more for which there was no room\n", p->unseen);
}

void print_statistics(FILE *out, const struct run_shared *shared)
{
	if (!shared->processes)
		fputs("umcg-run: the program made no threads\n", out);
	for (uint32_t i = 0; i < used(shared->processes, RUN_PROCESSES); i++)
		print_process(out, shared, i);
	if (shared->processes > RUN_PROCESSES)
		fprintf(out, "umcg-run: and %u processes more\n", shared->processes - RUN_PROCESSES);
}

static void print_class(FILE *out, const struct run_record *r, const char *file)
{
	fprintf(out, "umcg-run: thread %d \"%s\" (entry %s, nice %d, order %u): class %u, priority %d, weight %u, tenant %u",
		(int)r->tid, r->name, r->entry, (int)r->nice, r->order, r->attr.klass, (int)r->attr.priority,
		r->attr.weight, r->attr.tenant);
	if (r->attr.deadline_ns)
		fputs(", with a deadline", out);
	if (r->rule)
		fprintf(out, "; by the rule in line %d of %s\n", (int)r->rule, file);
	else
		fprintf(out, "; by %s\n", r->nice ? "its nice value: no rule matches" : "no rule");
}

void print_classes(FILE *out, const struct run_shared *shared, const char *file)
{
	for (uint32_t i = 0; i < used(shared->records, RUN_THREADS); i++)
		if (shared->record[i].state != RUN_FREE && shared->record[i].tid)
			print_class(out, &shared->record[i], file);
}
