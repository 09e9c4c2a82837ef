// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "same.h"

#define ARGUMENTS	16

/* Ways to run a case; the last argument is NULL. */
static const char *const ways[][ARGUMENTS] = {
	{ "--servers=1" },
	{ "--servers=2" },
	{ "--servers=2", "--pass-on" },
	{ "--servers=4", "--policy=las" },
	{ "--servers=2", "--policy=steal", "--main", "--stats=/dev/null" },
};
#define WAYS	(sizeof(ways) / sizeof(*ways))

const char *same_umcg_run(void)
{
	static char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 16);

	MUST(n > 0);
	path[n] = 0;
	strcpy(strrchr(path, '/') + 1, "umcg-run");
	return path;
}

void same_start(char *const argv[], struct same_result *result)
{
	const struct rlimit none = { 0, 0 };
	size_t had = 0;
	ssize_t n;
	int ends[2];
	pid_t pid;

	fflush(NULL);
	MUST(!pipe(ends));
	pid = fork();
	MUST(pid >= 0);
	if (!pid) {
		setrlimit(RLIMIT_CORE, &none);
		dup2(ends[1], 1);
		dup2(ends[1], 2);
		close(ends[0]);
		close(ends[1]);
		execv(argv[0], argv);
		_exit(98);
	}
	close(ends[1]);
	while ((n = read(ends[0], result->out + had, sizeof(result->out) - 1 - had)) > 0 || (n < 0 && errno == EINTR))
		had += n > 0 ? (size_t)n : 0;
	result->out[had] = 0;
	close(ends[0]);
	while (waitpid(pid, &result->status, 0) < 0 && errno == EINTR)
		;
}

static int compare(const char *name, const struct same_result *plain, const struct same_result *ours, const char *way)
{
	if (plain->status == ours->status && !strcmp(plain->out, ours->out))
		return 0;
	printf("%s under %s: status %#x, plain %#x\n--- plain\n%s--- under umcg-run\n%s---\n", name, way,
	       (unsigned int)ours->status, (unsigned int)plain->status, plain->out, ours->out);
	return 1;
}

static int run_case(const struct same_case *c)
{
	static struct same_result plain, ours;
	char *argv[ARGUMENTS + 4], self[] = "/proc/self/exe";
	char path[PATH_MAX];
	ssize_t n = readlink(self, path, sizeof(path) - 1);
	struct timespec begin, end;
	int differ = 0;

	MUST(n > 0);
	path[n] = 0;
	clock_gettime(CLOCK_MONOTONIC, &begin);
	same_start((char *const[]){ path, (char *)c->name, NULL }, &plain);
	/* A case that is wrong without us shows nothing. */
	if (WIFEXITED(plain.status) && WEXITSTATUS(plain.status) >= 98) {
		printf("%s: fails without umcg-run\n%s", c->name, plain.out);
		return 1;
	}
	for (size_t w = 0; w < WAYS; w++) {
		int k = 0;

		argv[k++] = (char *)same_umcg_run();
		for (int i = 0; ways[w][i]; i++)
			argv[k++] = (char *)ways[w][i];
		argv[k++] = path;
		argv[k++] = (char *)c->name;
		argv[k] = NULL;
		same_start(argv, &ours);
		differ |= compare(c->name, &plain, &ours, ways[w][ways[w][1] ? 1 : 0]);
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	printf("%s: %s, %ld s\n", c->name, differ ? "differs" : "same", (long)(end.tv_sec - begin.tv_sec));
	return differ;
}

int same_main(int argc, char **argv, const struct same_case *cases)
{
	int failed = 0;

	for (; cases->name; cases++) {
		if (argc > 1 && !strcmp(argv[1], cases->name))
			return cases->run();
		if (argc == 1)
			failed |= run_case(cases);
	}
	return argc > 1 ? 97 : failed;
}
