// SPDX-License-Identifier: MIT
#include <fcntl.h>

#include "libraw.h"
#include "libtrace.h"

static const char *root;

static const char *path_of(const char *name)
{
	static char path[200];

	snprintf(path, sizeof(path), "%s/%s", root, name);
	return path;
}

static void control(const char *name, const char *value)
{
	write_file(path_of(name), "%s", value);
}

void trace_begin(void)
{
	int fd;

	if (getuid())
		raw_skip("needs root, to read the trace");
	if (access("/sys/kernel/tracing", F_OK) && access("/sys/kernel/debug", F_OK))
		raw_skip("no tracing in this kernel (CONFIG_EVENT_TRACING)");
	root = mount_private("tracefs");
	control("tracing_on", "0");
	fd = open(path_of("trace"), O_WRONLY | O_TRUNC);
	CHECK(fd >= 0);
	close(fd);
	control("events/umcg/enable", "1");
	control("tracing_on", "1");
}

void trace_end(void)
{
	control("tracing_on", "0");
	control("events/umcg/enable", "0");
}

char *trace_text(void)
{
	static char text[1 << 20];
	size_t len = 0;
	ssize_t n;
	int fd;

	fd = open(path_of("trace"), O_RDONLY);
	CHECK(fd >= 0);
	while (len < sizeof(text) - 1 && (n = read(fd, text + len, sizeof(text) - 1 - len)) > 0)
		len += n;
	close(fd);
	text[len] = 0;
	return text;
}
