/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#ifndef ALWAYS_H
#define ALWAYS_H

#include "util.h"

/*
 * Calls everything that a signal handler of a registered thread may call wherever
 * it comes. @worker is of a group that may preempt; the trace of group @traced is
 * switched on and off.
 */
void always_callable(umcg_tid worker, umcg_t traced);

#endif /* ALWAYS_H */
