/* SPDX-License-Identifier: MIT */
/* Threads whose blocking is measured: the same ones, whoever schedules them. */
#ifndef SCENES_H
#define SCENES_H

#include <stdint.h>

#include "cost.h"

#define CROWD	32	/* the most threads of a scene */

/* Plain ones; scheduled ones, of which a server is told all; with places that pass on; and by rank. */
enum kind { THREADS, UMCG, PASS, RANK };

/* A program with these scenes says what that is. */
void scene_begin(enum kind kind);
void scene_join(int me);	/* thread @me, from 0, is scheduled from here on */
void scene_serve(void);	/* what the main thread does once all others have been started */

void sleep_block(const char *row, enum kind kind);
void device_block(const char *row, enum kind kind);
void busy_block(const char *row, enum kind kind);
void full_block(const char *row, enum kind kind);
void storm(const char *row, enum kind kind);

/* For other scenes. */
void name_row(const char *row);
void report(double value) __attribute__((noreturn));
uint64_t clock_ns(int clock);
void nap_until(uint64_t when);
void compute(int turns);

#endif
