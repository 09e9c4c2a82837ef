/* SPDX-License-Identifier: MIT */
#ifndef LIBGROUP_H
#define LIBGROUP_H

#include <stdint.h>

/* A control group with a CPU quota, in a private mount of cgroup2. One a program; root. */
void group_make(int percent);		/* of one CPU */
void group_enter(void);			/* the calling process */
uint64_t group_ns(void);		/* CPU time that it has had */
/* Lets @ns pass; fails if the group has had half as much again as its quota, or more. */
void group_check_quota(uint64_t ns);
void group_remove(void);		/* waits until it is empty */
/* All that with a quota of @percent, for a child that has started @busy. Skips without root. */
void group_try_quota(int percent, void (*busy)(void), uint64_t ns);

#endif /* LIBGROUP_H */
