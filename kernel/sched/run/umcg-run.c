// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* umcg-run: a program as it is, its threads under a scheduling policy of yours. See umcg-run(1). */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "umcg-run.h"

#define CLASSES_SIZE	65536

static struct {
	uint32_t servers;
	const char *policy, *classes_file, *stats_file, *trace_file;
	char *classes;
	bool main_too, pass_on, stats, explain, strict, fallback;
} options = { .policy = "rr" };

static const char help[] =
"Usage: umcg-run [OPTION]... PROGRAM [ARGUMENT]...\n"
"Run PROGRAM with its threads scheduled in user space, under a policy of your choice.\n\n"
"  -n, --servers=N      N servers, which are the CPUs that threads share (default: all CPUs)\n"
"  -p, --policy=POLICY  NAME or FILE.so, with options NAME:KEY=VALUE,... (default: rr)\n"
"  -c, --classes=FILE   rules in TOML: which thread is of which class\n"
"  -m, --main           schedule the main thread, too\n"
"      --pass-on        while none is ready a thread that blocks is replaced by the next without its server\n"
"  -s, --stats[=FILE]   at the end, what each thread did, to standard error or FILE\n"
"  -t, --trace=FILE     write each decision of the scheduler and each request to FILE, as text\n"
"  -e, --explain        at the end, the class of each thread and the rule that gave it\n"
"      --strict         refuse programs that cannot be wrapped, instead of running them plain\n"
"      --fallback       run plain on a kernel without UMCG, instead of exit status 3\n"
"  -h, --help\n\n"
"Policies: ";

_Noreturn void die(int status, const char *format, ...)
{
	va_list args;

	fputs("umcg-run: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(status);
}

static void print_help(void)
{
	fputs(help, stdout);
	for (int i = 0; umcg_policies[i]; i++)
		printf("%s%s", i ? ", " : "", umcg_policies[i]->name);
	puts("");
}

static uint32_t number_of_cpus(void)
{
	cpu_set_t set;
	int n = sched_getaffinity(0, sizeof(set), &set) ? 1 : CPU_COUNT(&set);

	return n > (int)RUN_SERVERS ? RUN_SERVERS : (uint32_t)n;
}

static uint32_t read_servers(const char *text)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (!isdigit((unsigned char)*text) || *end || !n || n > RUN_SERVERS)
		die(EXIT_WRONG_USE, "--servers=%s: a number from 1 to %u", text, RUN_SERVERS);
	return (uint32_t)n;
}

/* Wrong ones are refused here and not in the program. What comes back does not depend on the folder. */
static const char *read_policy(const char *text)
{
	char why[UMCG_SENTENCE], *whole = NULL, *path;
	struct umcg_choice choice;
	void *data;

	if (umcg_choose(text, &choice, why))
		die(EXIT_WRONG_USE, "%s", why);
	data = calloc(1, choice.policy->sched_size + 1);
	if (!data || umcg_policy_options(choice.policy, choice.options, data, why))
		die(EXIT_WRONG_USE, "policy %s: %s", choice.policy->name, data ? why : "no memory");
	free(data);
	if (options.pass_on && !(choice.policy->flags & UMCG_MAY_PASS_ON))
		die(EXIT_WRONG_USE, "--pass-on: policy %s does not permit that places pass on", choice.policy->name);
	if (choice.object) {
		size_t n = strlen(text) - strlen(choice.options);
		char *file = strndup(text, n && choice.options[-1] == ':' ? n - 1 : n);

		path = file ? realpath(file, NULL) : NULL;
		if (!path || asprintf(&whole, "%s%s%s", path, *choice.options ? ":" : "", choice.options) < 0)
			die(EXIT_WRONG_USE, "%s: %s", text, strerror(errno));
		text = whole;
	}
	if (strlen(text) >= RUN_PATH)
		die(EXIT_WRONG_USE, "the policy with its options is longer than %d bytes", RUN_PATH - 1);
	return text;
}

static char *read_classes(const char *file)
{
	static char text[CLASSES_SIZE];
	static struct rules rules;
	char why[256];
	size_t n;
	int line;
	FILE *in = fopen(file, "re");

	if (!in)
		die(EXIT_WRONG_USE, "%s: %s", file, strerror(errno));
	n = fread(text, 1, sizeof(text), in);
	if (ferror(in))
		die(EXIT_WRONG_USE, "%s: %s", file, strerror(errno));
	fclose(in);
	if (n == sizeof(text) || memchr(text, 0, n))
		die(EXIT_WRONG_USE, "%s is no file of classes, or longer than %d bytes", file, CLASSES_SIZE - 1);
	line = rules_read(&rules, text, why, sizeof(why));
	if (line)
		die(EXIT_WRONG_USE, "%s:%d: %s", file, line, why);
	return text;
}

static void read_options(int argc, char **argv)
{
	static const struct option known[] = {
		{ "servers", required_argument, NULL, 'n' }, { "policy", required_argument, NULL, 'p' },
		{ "classes", required_argument, NULL, 'c' }, { "main", no_argument, NULL, 'm' },
		{ "stats", optional_argument, NULL, 's' }, { "explain", no_argument, NULL, 'e' },
		{ "trace", required_argument, NULL, 't' }, { "pass-on", no_argument, NULL, 'P' },
		{ "strict", no_argument, NULL, 'S' }, { "fallback", no_argument, NULL, 'F' },
		{ "help", no_argument, NULL, 'h' }, { 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "+n:p:c:mset:h", known, NULL)) >= 0) {
		switch (c) {
		case 'n':
			options.servers = read_servers(optarg);
			break;
		case 'p':
			options.policy = optarg;
			break;
		case 'c':
			options.classes_file = optarg;
			break;
		case 'm':
			options.main_too = true;
			break;
		case 'P':
			options.pass_on = true;
			break;
		case 's':
			options.stats = true;
			options.stats_file = optarg;
			break;
		case 't':
			options.trace_file = optarg;
			break;
		case 'e':
			options.explain = true;
			break;
		case 'S':
			options.strict = true;
			break;
		case 'F':
			options.fallback = true;
			break;
		case 'h':
			print_help();
			exit(0);
		default:
			exit(EXIT_WRONG_USE);
		}
	}
	if (!options.servers)
		options.servers = number_of_cpus();
	if (options.pass_on && options.servers > RUN_PASS_SERVERS)
		die(EXIT_WRONG_USE, "--pass-on: at most %u servers", RUN_PASS_SERVERS);
	options.policy = read_policy(options.policy);
	if (options.classes_file)
		options.classes = read_classes(options.classes_file);
	if (!argv[optind])
		die(EXIT_WRONG_USE, "which program? umcg-run --help says how it is used");
}

/* Beside us, as it was built, or where `make install` has put it. */
static void find_library(char *path)
{
	static const char *const places[] = { "", "../libexec/" };
	char here[PATH_MAX], found[2 * PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", here, sizeof(here) - 1);

	here[n < 0 ? 0 : n] = 0;
	if (strrchr(here, '/'))
		strrchr(here, '/')[1] = 0;
	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		snprintf(found, sizeof(found), "%s%s%s", here, places[i], RUN_LIBRARY);
		if (realpath(found, path) && !access(path, R_OK) && strlen(path) < RUN_PATH) {
			/* The loader takes both for ends. */
			if (strpbrk(path, " :"))
				die(EXIT_NO_PROGRAM, "%s: the path of " RUN_LIBRARY " may have neither blank nor colon in it", path);
			return;
		}
	}
	die(EXIT_NO_PROGRAM, "%s" RUN_LIBRARY " is missing: make -C kernel/sched install puts both in place", here);
}

static void set_environment(const char *shared)
{
	const char *others = getenv("LD_PRELOAD");
	char library[PATH_MAX], *preload = NULL, *settings = NULL;

	find_library(library);
	if (asprintf(&preload, "%s%s%s", library, others && *others ? ":" : "", others ? others : "") < 0 ||
	    asprintf(&settings, "servers=%u main=%d trace=%d pass=%d shared=%s policy=%s", options.servers,
		     options.main_too, !!options.trace_file, options.pass_on, shared, options.policy) < 0 ||
	    setenv("LD_PRELOAD", preload, 1) || setenv(RUN_SETTINGS, settings, 1) ||
	    (options.classes ? setenv(RUN_CLASSES, options.classes, 1) : unsetenv(RUN_CLASSES)))
		die(EXIT_NO_PROGRAM, "the environment: %s", strerror(errno));
	free(preload);
	free(settings);
}

/* Memory that programs find through us, so that nothing is left when we are gone. */
static struct run_shared *make_shared(char *path, size_t size)
{
	struct run_shared *shared;
	int fd = memfd_create("umcg-run", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, sizeof(*shared)))
		die(EXIT_NO_PROGRAM, "memory for statistics: %s", strerror(errno));
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (shared == MAP_FAILED)
		die(EXIT_NO_PROGRAM, "memory for statistics: %s", strerror(errno));
	shared->magic = RUN_MAGIC;
	shared->layout = RUN_LAYOUT;
	snprintf(path, size, "/proc/%d/fd/%d", (int)getpid(), fd);
	return shared;
}

/* As it would have been without us. */
static _Noreturn void run(const char *path, char **argv)
{
	execv(path, argv);
	die(errno == ENOENT ? EXIT_NOT_FOUND : EXIT_NO_PROGRAM, "%s: %s", path, strerror(errno));
}

static FILE *statistics;

static void print_so_far(struct run_shared *shared)
{
	print_statistics(statistics, shared);
	fflush(statistics);
}

static _Noreturn void run_and_print(const char *path, char **argv)
{
	struct meanwhile meanwhile = {
		.take = options.trace_file ? trace_take : NULL, .asked = options.stats ? print_so_far : NULL,
	};
	struct run_shared *shared;
	FILE *out = stderr;
	char place[64];
	int status;

	if (options.stats_file) {
		out = fopen(options.stats_file, "we");
		if (!out)
			die(EXIT_WRONG_USE, "%s: %s", options.stats_file, strerror(errno));
	}
	statistics = out;
	if (options.trace_file)
		trace_open(options.trace_file);
	shared = make_shared(place, sizeof(place));
	meanwhile.shared = shared;
	set_environment(place);
	status = run_beside(path, argv, &meanwhile);
	if (options.trace_file)
		trace_close(shared);
	if (options.explain)
		print_classes(stderr, shared, options.classes_file ? options.classes_file : "");
	if (options.stats)
		print_statistics(out, shared);
	if (fflush(out) || ferror(out))
		fprintf(stderr, "umcg-run: statistics: %s\n", strerror(errno));
	end_like(status);
}

int main(int argc, char **argv)
{
	char path[PATH_MAX];
	const char *why;
	int error;

	read_options(argc, argv);
	argv += optind;
	error = find_program(argv[0], path, sizeof(path));
	if (error)
		die(error == ENOENT ? EXIT_NOT_FOUND : EXIT_NO_PROGRAM, "%s: %s", argv[0], strerror(error));
	why = why_plain(path, 0);
	if (why && options.strict)
		die(EXIT_NOT_WRAPPED, "%s %s: not run", path, why);
	if (!why && !umcg_enabled()) {
		why = "";
		if (!options.fallback)
			die(EXIT_NO_UMCG, "the running kernel has no UMCG: --fallback runs %s with plain threads", argv[0]);
		fprintf(stderr, "umcg-run: the running kernel has no UMCG: threads of %s are plain\n", argv[0]);
	} else if (why) {
		fprintf(stderr, "umcg-run: %s %s: its threads are plain\n", path, why);
	}
	if (why)
		run(path, argv);
	if (options.stats || options.explain || options.trace_file)
		run_and_print(path, argv);
	set_environment("-");
	run(path, argv);
}
