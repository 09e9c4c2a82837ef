// SPDX-License-Identifier: MIT
#include <errno.h>
#include <unistd.h>

#include "rows.h"

bool sim_rows_flush(struct sim_rows *rows)
{
	const char *at = (const char *)rows->buffer;
	size_t left = rows->buffered * sizeof(struct sim_row);

	while (left) {
		ssize_t n = write(rows->fd, at, left);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			rows->error = n ? errno : EIO;
			return false;
		}
		at += n;
		left -= (size_t)n;
	}
	rows->written += rows->buffered;
	rows->buffered = 0;
	return true;
}
