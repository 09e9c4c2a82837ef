/* SPDX-License-Identifier: MIT */
#ifndef LIBTRACE_H
#define LIBTRACE_H

/* The umcg tracepoints, of this program alone: skips where they may not be read. */
void trace_begin(void);		/* what others have left goes */
void trace_end(void);
char *trace_text(void);		/* the trace, anew by each call; may be written to */

#endif /* LIBTRACE_H */
