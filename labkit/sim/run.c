// SPDX-License-Identifier: MIT
/* The simulator's life: made, run, asked for its results, freed. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <umcg-host.h>

#include "internal.h"

/* Times are added to each other; no run is let come near their end. */
#define END_OF_TIME	(1ULL << 62)

struct sim *sim_new(const struct sim_spec *spec, const struct umcg_policy *policy, int fd)
{
	struct sim *sim = calloc(1, sizeof(*sim));
	size_t words = (spec->servers + 63) / 64;

	if (!sim)
		return NULL;
	sim->spec = *spec;
	sim->s = (struct umcg_sched){
		.host = &sim_host, .policy = policy, .servers = spec->servers,
		.flags = policy->flags, .random = spec->seed,
		.policy_data = calloc(1, (size_t)policy->sched_size + 8),
		.server_data = calloc(spec->servers, (((size_t)policy->server_size + 7) & ~7UL) + 8),
	};
	sim->stride = (sizeof(struct sim_thread) + policy->thread_size + 7) & ~(size_t)7;
	sim->rows = (struct sim_rows){ .fd = fd, .room = spec->rows };
	sim->rows.buffer = malloc(ROWS_BUFFERED * sizeof(struct sim_row));
	sim->running = calloc(spec->servers, sizeof(*sim->running));
	sim->servers = calloc(spec->servers, sizeof(*sim->servers));
	sim->classes = calloc(spec->classes, sizeof(*sim->classes));
	sim->locks = calloc(spec->locks + 1, sizeof(*sim->locks));
	sim->free = calloc(words, sizeof(uint64_t));
	sim->sleeping = calloc(words, sizeof(uint64_t));
	sim->s.running = sim->running;
	sim->next_check = spec->watchdog_ns;
	if (!sim->s.policy_data || !sim->s.server_data || !sim->rows.buffer || !sim->running ||
	    !sim->servers || !sim->classes || !sim->locks || !sim->free || !sim->sleeping) {
		sim_free(sim);
		return NULL;
	}
	return sim;
}

void sim_free(struct sim *sim)
{
	if (!sim)
		return;
	for (uint32_t i = 0; sim->classes && i < sim->spec.classes; i++) {
		free(sim->classes[i].waiting);
		free(sim->classes[i].latency.buckets);
		free(sim->classes[i].response.buckets);
	}
	for (int i = 0; i < SLABS; i++)
		free(sim->slab[i]);
	sim_heap_free(&sim->heap);
	free(sim->s.policy_data);
	free(sim->s.server_data);
	free(sim->rows.buffer);
	free(sim->running);
	free(sim->servers);
	free(sim->classes);
	free(sim->locks);
	free(sim->free);
	free(sim->sleeping);
	free(sim->fresh);
	free(sim->kicks);
	free(sim);
}

void sim_bind(struct sim *sim, void *binding)
{
	sim->s.binding = binding;
}

void sim_stop(struct sim *sim)
{
	if (sim->outcome == SIM_DONE)
		sim->outcome = SIM_STOPPED;
}

void sim_put(struct sim *sim, uint64_t time, uint64_t order, void *what)
{
	if (time >= END_OF_TIME)
		sim_fail(sim, SIM_WORKLOAD, "virtual time has come to %llu ns, its end; give the "
			 "classes shorter times", (unsigned long long)sim->s.now_ns);
	else if (!sim_heap_put(&sim->heap, (struct sim_entry){ time, order, what }))
		sim_fail(sim, SIM_MEMORY, "what is to come");
}

static void happen(struct sim *sim, const struct sim_entry *entry)
{
	struct sim_server *server = entry->what;

	switch ((enum sim_due)(entry->order >> 60)) {
	case DUE_ARRIVAL:
		sim_arrive(sim, entry->what);
		return;
	case DUE_WAKE:
		sim_woken(sim, entry->what);
		return;
	default:
		/* Its turn ended otherwise, and the entry stayed behind. */
		if (server->pending != entry->order || server->due != entry->time)
			return;
		break;
	}
	if (server->state == SERVER_BUSY)
		sim_back(sim, server);
	else if (server->state == SERVER_STARTING)
		sim_start(sim, server);
	else
		sim_turn_due(sim, server);
}

static void begin(struct sim *sim)
{
	for (uint32_t i = 0; i < sim->s.servers; i++) {
		sim->servers[i].number = i;
		sim_emit(sim, (int32_t)i + 1, (int32_t)i, KIND_REGISTER, STATE_NONE, STATE_RUNNING,
			 0, 0, 0);
		sim->free[i / 64] |= 1ULL << i % 64;
	}
	if (sim_arrivals_begin(sim))
		sim_settle(sim);
}

static void end(struct sim *sim)
{
	for (uint32_t i = 0; i < sim->s.servers; i++) {
		if (sim->servers[i].state != SERVER_SLEEPING)
			continue;
		sim_emit(sim, (int32_t)i + 1, (int32_t)i, KIND_UNREGISTER, STATE_IDLE, STATE_RUNNING,
			 0, 0, 0);
		sim_emit(sim, (int32_t)i + 1, (int32_t)i, KIND_UNREGISTER, STATE_RUNNING, STATE_NONE,
			 0, 0, 0);
	}
	sim->done.left_ready = sim->s.ready;
	for (uint32_t i = 0; i < sim->slots; i++)
		sim->done.left_blocked += sim_thread_at(sim, i)->t.state == UMCG_SCHED_BLOCKED;
}

static void one_instant(struct sim *sim)
{
	do {
		struct sim_entry entry = sim_heap_get(&sim->heap);

		happen(sim, &entry);
	} while (sim->outcome == SIM_DONE && sim->heap.length &&
		 sim->heap.entries[0].time == sim->s.now_ns);
	sim_settle(sim);
}

/* True: it came to its own end. */
static bool run(struct sim *sim)
{
	while (sim->outcome == SIM_DONE && sim->heap.length) {
		uint64_t time = sim->heap.entries[0].time;

		if (time > sim->spec.until) {
			sim->s.now_ns = sim->spec.until;
			return false;
		}
		/* In between nothing happens: what is ready then will be so until @time. */
		if (time >= sim->next_check) {
			sim->s.now_ns = sim->next_check;
			sim_check_lost(sim, sim->spec.watchdog_ns);
			sim->next_check += sim->spec.watchdog_ns;
			continue;
		}
		if (time != sim->s.now_ns)
			sim->looks = 0;
		sim->s.now_ns = time;
		one_instant(sim);
	}
	return sim->outcome == SIM_DONE;
}

static bool init(struct sim *sim, const char *options)
{
	char why[UMCG_SENTENCE];
	int refused;

	if (umcg_policy_options(sim->s.policy, options, sim->s.policy_data, why)) {
		sim_fail(sim, SIM_OPTIONS, "%s", why);
		return false;
	}
	if (!sim->s.policy->init)
		return true;
	sim->calls++;
	sim->call = "init";
	refused = sim->s.policy->init(&sim->s);
	sim->call = NULL;
	if (refused)
		sim_fail(sim, SIM_OPTIONS, "policy %s: %s", sim->s.policy->name,
			 *sim->said ? sim->said : "init() failed and does not say why");
	return !refused;
}

enum sim_outcome sim_run(struct sim *sim, const char *options)
{
	if (!init(sim, options))
		return sim->outcome;
	begin(sim);
	if (run(sim)) {
		/* Nothing will happen any more: what is ready now is lost. */
		sim_check_lost(sim, 0);
		sim_check_locks(sim);
	}
	if (sim->outcome == SIM_DONE || sim->outcome == SIM_STOPPED)
		end(sim);
	if (sim->outcome != SIM_FILE && !sim_rows_flush(&sim->rows))
		sim_fail(sim, SIM_FILE, "events");
	sim->done.now_ns = sim->s.now_ns;
	sim->done.rows = sim->rows.written;
	if (sim->outcome == SIM_FILE)
		errno = sim->rows.error;
	return sim->outcome;
}

void sim_result(const struct sim *sim, struct sim_result *result)
{
	*result = sim->done;
}

static void times(const struct sim_histogram *histogram, struct sim_times *result)
{
	*result = (struct sim_times){
		.n = histogram->n, .sum = histogram->sum, .max = histogram->max,
		.p50 = sim_histogram_quantile(histogram, 0.5),
		.p90 = sim_histogram_quantile(histogram, 0.9),
		.p99 = sim_histogram_quantile(histogram, 0.99),
		.p999 = sim_histogram_quantile(histogram, 0.999),
	};
}

void sim_class_result(const struct sim *sim, uint32_t klass, struct sim_class_result *result)
{
	const struct sim_class_state *state = &sim->classes[klass];

	*result = state->done;
	times(&state->latency, &result->latency);
	times(&state->response, &result->response);
}

void sim_server_result(const struct sim *sim, uint32_t server, struct sim_server_result *result)
{
	*result = sim->servers[server].done;
}
