// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Where a program is. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "umcg-run.h"

static int try(const char *path)
{
	struct stat stat_;

	if (stat(path, &stat_))
		return errno;
	if (!S_ISREG(stat_.st_mode) || access(path, X_OK))
		return EACCES;
	return 0;
}

int find_program(const char *name, char *path, size_t size)
{
	const char *list = getenv("PATH"), *end;
	int error, said = ENOENT;

	if (strchr(name, '/')) {
		if ((size_t)snprintf(path, size, "%s", name) >= size)
			return ENAMETOOLONG;
		return try(path);
	}
	for (list = list ? list : "/bin:/usr/bin"; list; list = *end ? end + 1 : NULL) {
		end = strchrnul(list, ':');
		if ((size_t)snprintf(path, size, "%.*s%s%s", (int)(end - list), list,
				     end > list ? "/" : "./", name) >= size)
			continue;
		error = try(path);
		if (!error)
			return 0;
		if (error == EACCES)
			said = error;
	}
	return said;
}
