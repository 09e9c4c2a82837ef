/* SPDX-License-Identifier: MIT */
/* What others get beside a thread that computes all the time. */
#ifndef BESIDE_H
#define BESIDE_H

#include "scenes.h"
#include "task.h"

/* Of the scene of raw system calls: thread @me, and the server. */
struct task *scene_worker(int me);
struct task *scene_server(void);

/* Two talk over pipes: instructions of the CPU for a round trip. */
void beside(const char *row, enum kind kind);
/* A timer wakes one, now and then: from the computing one's last instruction to its first. */
void urgent(const char *row, enum kind kind);
/* A timer wakes one that is busy 70 % of the time: how late it is, 99th percentile in ns. */
void late(const char *row, enum kind kind);

#endif
