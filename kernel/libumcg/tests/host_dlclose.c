// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * host_dlclose LIBRARY: a thread uses the library, which is closed then; its end must
 * not run into memory that is not there any more. Needs no UMCG.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdio.h>

static intptr_t (*get_utid)(void);
static sem_t used, closed;

static void *thread(void *arg)
{
	(void)arg;
	get_utid();
	sem_post(&used);
	sem_wait(&closed);
	return NULL;
}

int main(int argc, char **argv)
{
	void *library = argc == 2 ? dlopen(argv[1], RTLD_NOW) : NULL, *symbol;
	pthread_t id;

	if (!library) {
		fprintf(stderr, "%s\n", argc == 2 ? dlerror() : "which library?");
		return 2;
	}
	symbol = dlsym(library, "umcg_get_utid");
	if (!symbol)
		return 2;
	__builtin_memcpy(&get_utid, &symbol, sizeof(symbol));
	sem_init(&used, 0, 0);
	sem_init(&closed, 0, 0);
	if (pthread_create(&id, NULL, thread, NULL))
		return 2;
	sem_wait(&used);
	if (dlclose(library))
		return 2;
	sem_post(&closed);
	return pthread_join(id, NULL) ? 2 : 0;
}
