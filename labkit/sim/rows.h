/* SPDX-License-Identifier: MIT */
/* Events on their way to a file. */
#ifndef SIM_ROWS_H
#define SIM_ROWS_H

#include <stdbool.h>
#include <stdint.h>

/* In the order of labkit.records.KINDS and STATES. */
enum sim_kind {
	KIND_REGISTER, KIND_UNREGISTER, KIND_RUN, KIND_YIELD, KIND_SWAP, KIND_BLOCK,
	KIND_WAKE, KIND_PREEMPT, KIND_TIMEOUT, KIND_WAIT, KIND_OP, KIND_MARK
};
enum sim_state {
	STATE_NONE, STATE_RUNNING, STATE_IDLE, STATE_BLOCKED
};
#define FLAG_PREEMPTED	0x80

/* 32 bytes, as labkit/sim/core.py reads them. */
struct sim_row {
	int64_t t, arg;
	int32_t tid, peer, flags;
	int16_t cpu;
	uint8_t kind;
	uint8_t states;			/* old, and new << 4 */
};

#define ROWS_BUFFERED	16384U

struct sim_rows {
	struct sim_row *buffer;
	uint32_t buffered;
	int fd;
	int error;			/* errno of a write that failed */
	uint64_t room, written;
};

/* False: no room or a failed write, see @error. */
static inline bool sim_rows_put(struct sim_rows *rows, struct sim_row row);
bool sim_rows_flush(struct sim_rows *rows);

static inline bool sim_rows_put(struct sim_rows *rows, struct sim_row row)
{
	if (rows->written + rows->buffered == rows->room)
		return false;
	rows->buffer[rows->buffered++] = row;
	return rows->buffered < ROWS_BUFFERED || sim_rows_flush(rows);
}

#endif
