/* SPDX-License-Identifier: MIT */
/*
 * What a description (simulator.h) says of one job, for whoever carries it out: the
 * simulator, or the engine on a kernel. Both draw the same times in the same order.
 */
#ifndef SIM_DESCRIPTION_H
#define SIM_DESCRIPTION_H

#include "simulator.h"

/* The stream that a class's arrivals are drawn from. */
#define SIM_STREAM_OF_ARRIVALS	UINT64_MAX

static inline uint64_t sim_draw_of(const struct sim_spec *spec, uint32_t distribution, uint64_t job,
				   uint64_t *draws)
{
	return sim_draw(&spec->distribution[distribution], spec->values, job, draws);
}

/* Has this step a time to be drawn? */
static inline bool sim_is_timed(const struct sim_step *step)
{
	return step->kind <= SIM_FAULT;
}

/* How long @job is going to compute, when its stream is at @draws. */
uint64_t sim_computing(const struct sim_spec *spec, const struct sim_class *klass, uint64_t job,
		       uint64_t draws);
/*
 * When number @job of an open loop comes, if the last one came at @last; false: none
 * does. @draws is the stream of its arrivals.
 */
bool sim_arrival(const struct sim_spec *spec, const struct sim_class *klass, uint64_t job,
		 uint64_t last, uint64_t *draws, uint64_t *time);

#endif
