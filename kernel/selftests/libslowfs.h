/* SPDX-License-Identifier: MIT */
#ifndef LIBSLOWFS_H
#define LIBSLOWFS_H

#include <sys/types.h>

/* A FUSE file system as any user may mount it; its reads need not be answered. */
#define SLOW_FILES_UID		65534		/* whose it is */
#define SLOW_FILES_PAGES	600
#define SLOW_FILES_DIR		"/tmp/umcg-fuse"

/*
 * Returns the process that answers, or 0 where that cannot be had. @percent_silent
 * (shared memory) of the reads are never answered.
 */
pid_t slow_files_mount(volatile int *percent_silent);
void slow_files_unmount(pid_t pid);
/*
 * Private, writable and present; a page that is dropped (MADV_DONTNEED) is read from
 * the file at the next access.
 */
char *slow_files_map(long pages);
void become_user(void);

#endif /* LIBSLOWFS_H */
