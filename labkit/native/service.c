// SPDX-License-Identifier: MIT
/*
 * Servers for workers of any making, such as Python threads, in groups that are
 * written by hand over libumcg (labkit.umcg). No scheduler: who is next is who stands
 * first on the idle list. It is in C as a server must not need the lock that its
 * workers may hold.
 */
#define _GNU_SOURCE
#include <stdlib.h>

#include "lab.h"

struct lab_service {
	pthread_mutex_t lock;
	uint32_t left;			/* workers that have not unregistered */
	uint32_t nr_servers;
	uint32_t room;
	umcg_tid servers[];
};

struct lab_service *lab_service_new(uint32_t workers, uint32_t servers)
{
	struct lab_service *service = calloc(1, sizeof(*service) +
					     servers * sizeof(umcg_tid));

	if (!service)
		return NULL;
	pthread_mutex_init(&service->lock, NULL);
	service->left = workers;
	service->room = servers;
	return service;
}

void lab_service_free(struct lab_service *service)
{
	pthread_mutex_destroy(&service->lock);
	free(service);
}

/* Take part; -1 when there are as many servers as there may be. */
static int take_part(struct lab_service *service, umcg_tid self)
{
	int err = 0;

	pthread_mutex_lock(&service->lock);
	if (service->nr_servers == service->room)
		err = -1;
	else
		service->servers[service->nr_servers++] = self;
	pthread_mutex_unlock(&service->lock);
	errno = EBUSY;
	return err;
}

/*
 * Leave. No task wakes a server that is no longer on the list, but one may
 * have before: that wake-up is consumed here, not by a later wait.
 */
static void part(struct lab_service *service, umcg_tid self)
{
	int err = errno;

	pthread_mutex_lock(&service->lock);
	for (uint32_t i = 0; i < service->nr_servers; i++)
		if (service->servers[i] == self)
			service->servers[i] = service->servers[--service->nr_servers];
	pthread_mutex_unlock(&service->lock);
	if (umcg_get_task_state(self) & UMCG_UTF_WAKEUP_QUEUED)
		umcg_wait(1);
	errno = err;
}

uint32_t lab_service_left(struct lab_service *service)
{
	uint32_t left;

	pthread_mutex_lock(&service->lock);
	left = service->left;
	pthread_mutex_unlock(&service->lock);
	return left;
}

static bool all_left(struct lab_service *service)
{
	return !lab_service_left(service);
}

/* umcg_wake() waits, perhaps for ever, to queue a second wake-up behind one that is queued. */
static void wake_once(umcg_tid task)
{
	if (!(umcg_get_task_state(task) & UMCG_UTF_WAKEUP_QUEUED))
		umcg_wake(task, false);
}

/* With the lock held, as servers leave the list with it: none is woken too late. */
static void wake_others(struct lab_service *service, umcg_tid self)
{
	for (uint32_t i = 0; i < service->nr_servers; i++)
		if (service->servers[i] != self)
			wake_once(service->servers[i]);
}

/* Only a task may wake a task. False: the thread is one already. */
static bool become_task(void)
{
	return umcg_register_basic_task(0) != UMCG_NONE;
}

void lab_service_end(struct lab_service *service)
{
	bool became = become_task();

	pthread_mutex_lock(&service->lock);
	service->left = 0;
	wake_others(service, UMCG_NONE);
	pthread_mutex_unlock(&service->lock);
	if (became)
		umcg_unregister_task();
}

void lab_wake(intptr_t task)
{
	bool became = become_task();

	wake_once(task);
	if (became)
		umcg_unregister_task();
}

/* A worker has unregistered. After the last one nothing wakes the others but us. */
static void one_left(struct lab_service *service, umcg_tid self)
{
	pthread_mutex_lock(&service->lock);
	if (service->left && !--service->left)
		wake_others(service, self);
	pthread_mutex_unlock(&service->lock);
}

static int serve(struct lab_service *service, umcg_tid self)
{
	while (!all_left(service)) {
		umcg_tid task = umcg_get_idle_worker(true), back;

		if (task == UMCG_NONE) {
			if (errno == EINTR && all_left(service))
				break;
			return -1;
		}
		errno = 0;
		back = umcg_run_worker(task);
		if (back == UMCG_NONE) {
			if (errno)
				return -1;
			one_left(service, self);
		} else if (umcg_is_preempted(back) &&
			   umcg_put_idle_worker(back)) {
			return -1;
		}
	}
	return 0;
}

int lab_serve(struct lab_service *service)
{
	umcg_tid self = umcg_get_utid();
	int ret;

	if (take_part(service, self))
		return -1;
	ret = serve(service, self);
	part(service, self);
	return ret;
}
