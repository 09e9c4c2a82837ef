// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Programs give the programs that they start an environment of their own making, and
 * write over the one they have. What umcg-run has put there is put there again, on the
 * stack, as the caller may be a child of vfork().
 */
#include <alloca.h>
#include <dlfcn.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>

#include "preload.h"

extern char **environ;

enum { PRELOAD, SETTINGS, CLASSES, KEPT };
static const char *const names[KEPT] = { "LD_PRELOAD", RUN_SETTINGS, RUN_CLASSES };
static char *kept[KEPT];	/* NAME=VALUE; NULL: there was none */
static char library[RUN_PATH];	/* our own path */

static char *copy(const char *name, const char *value)
{
	size_t size = strlen(name) + strlen(value) + 2;
	char *text = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (text == MAP_FAILED)
		return NULL;
	stpcpy(stpcpy(stpcpy(text, name), "="), value);
	return text;
}

/* NAME=... of @name in @env, or NULL. */
static char **find(char *const *env, const char *name)
{
	size_t n = strlen(name);

	for (; env && *env; env++)
		if (!strncmp(*env, name, n) && (*env)[n] == '=')
			return (char **)env;
	return NULL;
}

static size_t length(char *const *list)
{
	size_t n = 0;

	while (list && list[n])
		n++;
	return n;
}

/* Bytes for what amend() makes of @env. */
static size_t room(char *const *env)
{
	char **theirs = find(env, names[PRELOAD]);

	return (length(env) + KEPT + 1) * sizeof(*env) +
	       (theirs ? strlen(*theirs) + strlen(library) + 2 : 0);
}

/* @env with what is missing, in @memory. */
static char **amend(char *const *env, void *memory)
{
	char **made = memory, **theirs;
	size_t n = length(env);
	char *text = (char *)(made + n + KEPT + 1);

	if (n)
		memcpy(made, env, n * sizeof(*made));
	made[n] = NULL;
	if (!kept[PRELOAD] || !kept[SETTINGS])
		return made;
	theirs = find(made, names[PRELOAD]);
	if (theirs && !strstr(*theirs, library)) {
		const char *value = *theirs + strlen(names[PRELOAD]) + 1;

		*theirs = text;
		text = stpcpy(stpcpy(stpcpy(text, names[PRELOAD]), "="), library);
		stpcpy(stpcpy(text, *value ? ":" : ""), value);
	}
	for (int i = 0; i < KEPT; i++)
		if (kept[i] && !find(made, names[i])) {
			made[n++] = kept[i];
			made[n] = NULL;
		}
	return made;
}

#define AMEND(env)	amend((env), alloca(room(env)))

/*
 * What the program would have called. Found early: a child of fork() may not wait for the
 * loader, whose locks may be held by a thread that the child does not have.
 */
static struct {
	__typeof__(execve) *execve;
	__typeof__(execvpe) *execvpe;
	__typeof__(fexecve) *fexecve;
	__typeof__(posix_spawn) *spawn, *spawnp;
} real;

static void find_real(void)
{
	*(void **)&real.execvpe = dlsym(RTLD_NEXT, "execvpe");
	*(void **)&real.fexecve = dlsym(RTLD_NEXT, "fexecve");
	*(void **)&real.spawn = dlsym(RTLD_NEXT, "posix_spawn");
	*(void **)&real.spawnp = dlsym(RTLD_NEXT, "posix_spawnp");
	*(void **)&real.execve = dlsym(RTLD_NEXT, "execve");
}

#define REAL(name)	((real.execve ? (void)0 : find_real()), real.name)

void exec_open(void)
{
	const char *value;
	Dl_info info;

	find_real();
	if (!dladdr((void *)exec_open, &info) || strlen(info.dli_fname) >= sizeof(library))
		return;
	strcpy(library, info.dli_fname);
	for (int i = 0; i < KEPT; i++) {
		value = getenv(names[i]);
		kept[i] = value ? copy(names[i], value) : NULL;
	}
}

PUBLIC int execve(const char *path, char *const argv[], char *const env[])
{
	return REAL(execve)(path, argv, AMEND(env));
}

PUBLIC int execvpe(const char *file, char *const argv[], char *const env[])
{
	return REAL(execvpe)(file, argv, AMEND(env));
}

PUBLIC int fexecve(int fd, char *const argv[], char *const env[])
{
	return REAL(fexecve)(fd, argv, AMEND(env));
}

PUBLIC int execv(const char *path, char *const argv[])
{
	return execve(path, argv, environ);
}

PUBLIC int execvp(const char *file, char *const argv[])
{
	return execvpe(file, argv, environ);
}

/* The arguments from @first on as a list; @last is where the next may be. */
#define LIST(argv, first, last)						\
	do {								\
		size_t n = 1;						\
									\
		va_start(last, first);					\
		while (va_arg(last, char *))				\
			n++;						\
		va_end(last);						\
		argv = alloca((n + 1) * sizeof(*argv));			\
		argv[0] = (char *)(first);				\
		va_start(last, first);					\
		for (size_t i = 1; i <= n; i++)				\
			argv[i] = va_arg(last, char *);			\
	} while (0)

PUBLIC int execl(const char *path, const char *first, ...)
{
	va_list args;
	char **argv;

	LIST(argv, first, args);
	va_end(args);
	return execve(path, argv, environ);
}

PUBLIC int execlp(const char *file, const char *first, ...)
{
	va_list args;
	char **argv;

	LIST(argv, first, args);
	va_end(args);
	return execvpe(file, argv, environ);
}

PUBLIC int execle(const char *path, const char *first, ...)
{
	va_list args;
	char **argv, **env;

	LIST(argv, first, args);
	env = va_arg(args, char **);
	va_end(args);
	return execve(path, argv, env);
}

PUBLIC int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
		       const posix_spawnattr_t *attr, char *const argv[], char *const env[])
{
	return REAL(spawn)(pid, path, actions, attr, argv, AMEND(env));
}

PUBLIC int posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions,
			const posix_spawnattr_t *attr, char *const argv[], char *const env[])
{
	return REAL(spawnp)(pid, file, actions, attr, argv, AMEND(env));
}
