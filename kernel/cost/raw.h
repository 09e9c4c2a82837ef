/* SPDX-License-Identifier: MIT */
/* A row measures one kind of hand-off: it calls lap() once a round trip and never returns. */
#ifndef RAW_H
#define RAW_H

#include "cost.h"

/* base.c: kernel primitives that need no UMCG */
void row_getppid(void);
void row_fault(void);
void row_yield(void);
void row_futex(void);
void row_condvar(void);
void row_pipe(void);
void row_eventfd(void);

/* umcg.c */
void row_swap(void);
void row_wake_wait(void);
void row_run_yield(void);
void row_worker_swap(void);
void row_worker_pipe(void);

#endif
