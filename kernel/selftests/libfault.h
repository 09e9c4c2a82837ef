/* SPDX-License-Identifier: MIT */
#ifndef LIBFAULT_H
#define LIBFAULT_H

#include <stdbool.h>

/* A page whose fault waits for slow_page_resolve(). Skips without userfaultfd. */
struct slow_page {
	char	*page;
	int	fd;
	bool	shared;
};

void slow_page(struct slow_page *p);		/* missing until resolved; then "page" */
/* Present, but after madvise(MADV_DONTNEED) the next access has to wait. */
void slow_shared_page(struct slow_page *p);
void slow_page_wait(struct slow_page *p);	/* until somebody has faulted */
void slow_page_resolve(struct slow_page *p);
void slow_page_free(struct slow_page *p);

#endif /* LIBFAULT_H */
