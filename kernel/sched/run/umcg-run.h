/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* The command umcg-run. */
#ifndef UMCG_RUN_H
#define UMCG_RUN_H

#include <stdio.h>

#include "rules.h"
#include "shared.h"

/* Ends of umcg-run's own; else it ends as the program does. */
enum { EXIT_WRONG_USE = 2, EXIT_NO_UMCG = 3, EXIT_NOT_WRAPPED = 4, EXIT_NO_PROGRAM = 126, EXIT_NOT_FOUND = 127 };

_Noreturn void die(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* find.c: where @name is, as execvp() looks for it, in @path. 0 or an errno. */
int find_program(const char *name, char *path, size_t size);
/* wrappable.c: NULL, or why no library can be put into @path, as the end of a sentence. */
const char *why_plain(const char *path, int depth);

/* What is to be done while the program runs. */
struct meanwhile {
	struct run_shared *shared;
	void (*take)(struct run_shared *shared);	/* every few milliseconds; NULL: nothing */
	void (*asked)(struct run_shared *shared);	/* at SIGRTMAX; NULL: the program gets it */
};

/* watch.c: run the program beside us until it has ended; its wait status. */
int run_beside(const char *path, char **argv, const struct meanwhile *meanwhile);
_Noreturn void end_like(int status);

/* print.c */
void print_statistics(FILE *out, const struct run_shared *shared);
void print_classes(FILE *out, const struct run_shared *shared, const char *file);

/* trace.c: open, write what has come, write what is left and the threads' names (-1: failed, and said). */
void trace_open(const char *path);
void trace_take(struct run_shared *shared);
int trace_close(struct run_shared *shared);

#endif /* UMCG_RUN_H */
