/* SPDX-License-Identifier: MIT */
#ifndef LIBFAULT_H
#define LIBFAULT_H

#include <stdbool.h>
#include <stddef.h>

/* A page whose fault waits for slow_page_resolve(). Skips without userfaultfd. */
struct slow_page {
	char	*page;
	size_t	size;
	int	fd;
	bool	shared;
};

void slow_page(struct slow_page *p);		/* missing until resolved; then "page" */
/* Present, but after madvise(MADV_DONTNEED) the next access has to wait. */
void slow_shared_page(struct slow_page *p);
/*
 * Two pages, present and zero. After slow_page_protect() the next write to the second
 * one, and no read, has to wait; slow_page_open() lets all write that come later,
 * slow_page_resume() also the one that waits.
 */
void slow_written_page(struct slow_page *p);
void slow_page_protect(struct slow_page *p);
void slow_page_open(struct slow_page *p);
void slow_page_resume(struct slow_page *p);
void slow_page_wait(struct slow_page *p);	/* until a task has faulted */
void slow_page_resolve(struct slow_page *p);
void slow_page_free(struct slow_page *p);

#endif /* LIBFAULT_H */
