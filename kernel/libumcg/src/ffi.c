// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* The inlines of the header as symbols, for callers that are not C. */
#include <stdint.h>

#define LIBUMCG_INLINE __attribute__((visibility("default")))
uint64_t umcg_get_time_ns(void);
uint64_t umcg_state_of(uint64_t task_state);

#include "libumcg.h"
