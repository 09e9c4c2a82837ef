// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* What umcg-run has written into the environment. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "preload.h"

struct settings settings;

/* No stdio, as a scheduled thread may have its locks. */
void say(const char *format, ...)
{
	char text[512];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (n >= (int)sizeof(text))
		n = (int)sizeof(text) - 1;
	(void)!write(STDERR_FILENO, text, (size_t)n);
}

bool settings_read(void)
{
	const char *text = getenv(RUN_SETTINGS), *classes = getenv(RUN_CLASSES);
	unsigned int servers, main_too, trace, pass_on;
	char why[256];
	int end = 0;

	if (!text)
		return false;
	if (sscanf(text, "servers=%u main=%u trace=%u pass=%u shared=%511s policy=%n", &servers, &main_too,
		   &trace, &pass_on, settings.shared, &end) != 5 || !end || !servers || servers > RUN_SERVERS ||
	    strlen(text + end) >= sizeof(settings.policy)) {
		say("umcg-run: the environment's " RUN_SETTINGS " is not umcg-run's: threads stay plain\n");
		return false;
	}
	settings.servers = servers;
	settings.main_too = main_too;
	settings.trace = trace;
	settings.pass_on = pass_on;
	strcpy(settings.policy, text + end);
	if (!strcmp(settings.shared, "-"))
		settings.shared[0] = 0;
	if (classes && rules_read(&settings.rules, classes, why, sizeof(why))) {
		say("umcg-run: " RUN_CLASSES ": %s: all threads are one class\n", why);
		settings.rules.count = 0;
	}
	return true;
}
