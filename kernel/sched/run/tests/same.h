/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Programs that must do the same with umcg-run as without. A test is a table of cases;
 * started without arguments it starts itself once for each case, plain, and then under
 * umcg-run in several ways, and compares output and end.
 */
#ifndef SAME_H
#define SAME_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#ifdef __cplusplus
extern "C" {
#endif

struct same_case {
	const char *name;
	int (*run)(void);	/* what main() returns */
};

/* Ends what is amiss in a case. */
#define MUST(x)	do { \
		if (!(x)) { \
			dprintf(1, "%s:%d: not so: %s\n", __FILE__, __LINE__, #x); \
			_exit(99); \
		} \
	} while (0)

/* The table ends with a case without a name. */
int same_main(int argc, char **argv, const struct same_case *cases);

struct same_result {
	int status;		/* of wait() */
	char out[65536];	/* both outputs */
};

/* Run @argv until it has ended, and all that hold its output. */
void same_start(char *const argv[], struct same_result *result);
/* umcg-run, in the test's folder. */
const char *same_umcg_run(void);

#ifdef __cplusplus
}
#endif

#endif /* SAME_H */
