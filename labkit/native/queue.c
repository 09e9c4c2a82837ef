// SPDX-License-Identifier: MIT
/* First in, first out: the preempted workers, which stand on no idle list. */
#define _GNU_SOURCE
#include <stdlib.h>

#include "load.h"

int queue_init(struct queue *queue, uint32_t room)
{
	*queue = (struct queue){ .task = calloc(room, sizeof(umcg_tid)), .room = room };
	if (!queue->task)
		return -1;
	return pthread_mutex_init(&queue->lock, NULL);
}

void queue_free(struct queue *queue)
{
	pthread_mutex_destroy(&queue->lock);
	free(queue->task);
}

void queue_put(struct queue *queue, umcg_tid task)
{
	pthread_mutex_lock(&queue->lock);
	queue->task[(queue->head + queue->length) % queue->room] = task;
	queue->length++;
	pthread_mutex_unlock(&queue->lock);
}

umcg_tid queue_get(struct queue *queue)
{
	umcg_tid task = UMCG_NONE;

	pthread_mutex_lock(&queue->lock);
	if (queue->length) {
		task = queue->task[queue->head];
		queue->head = (queue->head + 1) % queue->room;
		queue->length--;
	}
	pthread_mutex_unlock(&queue->lock);
	return task;
}
