// SPDX-License-Identifier: MIT
/* What a description says of one job; see description.h. */
#include "description.h"

uint64_t sim_computing(const struct sim_spec *spec, const struct sim_class *klass, uint64_t job,
		       uint64_t draws)
{
	uint64_t sum = 0;

	for (uint64_t i = 0; i < klass->repeat; i++)
		for (uint32_t j = 0; j < klass->steps; j++) {
			const struct sim_step *step = &spec->step[klass->first_step + j];
			uint64_t time;

			if (!sim_is_timed(step))
				continue;
			time = sim_draw_of(spec, step->of, job, &draws);
			if (step->kind == SIM_COMPUTE)
				sum += time;
		}
	return sum;
}

bool sim_arrival(const struct sim_spec *spec, const struct sim_class *klass, uint64_t job,
		 uint64_t last, uint64_t *draws, uint64_t *time)
{
	if (job >= klass->jobs)
		return false;
	if (klass->arrivals == SIM_POISSON)
		*time = last + sim_draw_exponential(klass->mean, draws);
	else if (klass->arrivals == SIM_PERIODIC)
		*time = klass->offset + job * klass->period;
	else if (klass->arrivals == SIM_TRACE && job < klass->times)
		*time = spec->values[klass->first_time + job];
	else
		return false;
	return *time < spec->duration;
}
