/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Lists, heaps, and queues by rank for policies. Their nodes are in the bytes that the policy
 * has in each thread, so nothing is allocated; equal keys come out in the order
 * in which they went in, so the same calls always give the same order.
 *
 * A node belongs to one list or heap at a time. umcg_thread_of() makes a thread
 * of a node that is the first thing in the thread's bytes.
 */
#ifndef UMCG_QUEUE_H
#define UMCG_QUEUE_H

#include "umcg-policy.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Doubly linked; all zero is an empty list. */
struct umcg_link {
	struct umcg_link *next, *prev;
};

struct umcg_list {
	struct umcg_link *first, *last;
	uint32_t length;
};

static inline void umcg_list_put(struct umcg_list *list, struct umcg_link *link)
{
	link->next = NULL;
	link->prev = list->last;
	if (list->last)
		list->last->next = link;
	else
		list->first = link;
	list->last = link;
	list->length++;
}

static inline void umcg_list_put_first(struct umcg_list *list, struct umcg_link *link)
{
	link->prev = NULL;
	link->next = list->first;
	if (list->first)
		list->first->prev = link;
	else
		list->last = link;
	list->first = link;
	list->length++;
}

/* @link is on @list, anywhere. */
static inline void umcg_list_remove(struct umcg_list *list, struct umcg_link *link)
{
	if (link->prev)
		link->prev->next = link->next;
	else
		list->first = link->next;
	if (link->next)
		link->next->prev = link->prev;
	else
		list->last = link->prev;
	list->length--;
}

/* Take the first or the last; NULL: there is none. */
static inline struct umcg_link *umcg_list_get(struct umcg_list *list)
{
	struct umcg_link *link = list->first;

	if (link)
		umcg_list_remove(list, link);
	return link;
}

static inline struct umcg_link *umcg_list_get_last(struct umcg_list *list)
{
	struct umcg_link *link = list->last;

	if (link)
		umcg_list_remove(list, link);
	return link;
}

/*
 * A pairing heap: the smallest key first, of equal ones the oldest. Putting takes
 * constant time, taking O(log n) on average. All zero is an empty heap.
 */
struct umcg_node {
	struct umcg_node *child, *next;
	struct umcg_node **back;	/* the pointer that points here */
	uint64_t key;
	int64_t order;			/* among equal keys */
};

struct umcg_heap {
	struct umcg_node *root;
	int64_t front, end;		/* the next order in front of all, behind all */
	uint32_t length;
};

static inline bool umcg_node_before(const struct umcg_node *a, const struct umcg_node *b)
{
	return a->key != b->key ? a->key < b->key : a->order < b->order;
}

/* Two roots become one tree. */
static inline struct umcg_node *umcg_heap_meld(struct umcg_node *a, struct umcg_node *b)
{
	struct umcg_node *root = a, *other = b;

	if (umcg_node_before(b, a)) {
		root = b;
		other = a;
	}
	other->next = root->child;
	if (other->next)
		other->next->back = &other->next;
	other->back = &root->child;
	root->child = other;
	root->next = NULL;
	return root;
}

static inline void umcg_heap_add(struct umcg_heap *heap, struct umcg_node *tree)
{
	heap->root = heap->root ? umcg_heap_meld(heap->root, tree) : tree;
	heap->root->back = &heap->root;
}

static inline void umcg_heap_insert(struct umcg_heap *heap, struct umcg_node *node,
				    uint64_t key, int64_t order)
{
	node->child = NULL;
	node->next = NULL;
	node->key = key;
	node->order = order;
	umcg_heap_add(heap, node);
	heap->length++;
}

/* Behind those with the same key. */
static inline void umcg_heap_put(struct umcg_heap *heap, struct umcg_node *node, uint64_t key)
{
	umcg_heap_insert(heap, node, key, heap->end++);
}

/* In front of those with the same key. */
static inline void umcg_heap_put_first(struct umcg_heap *heap, struct umcg_node *node, uint64_t key)
{
	umcg_heap_insert(heap, node, key, --heap->front);
}

/* A row of trees becomes one: in pairs from the left, then from the right. */
static inline struct umcg_node *umcg_heap_join(struct umcg_node *row)
{
	struct umcg_node *pairs = NULL, *tree, *next;

	for (; row; row = next) {
		tree = row;
		next = row->next;
		tree->next = NULL;
		if (next) {
			struct umcg_node *second = next;

			next = second->next;
			tree = umcg_heap_meld(tree, second);
		}
		tree->next = pairs;
		pairs = tree;
	}
	for (tree = pairs, pairs = NULL; tree; tree = next) {
		next = tree->next;
		tree->next = NULL;
		pairs = pairs ? umcg_heap_meld(pairs, tree) : tree;
	}
	return pairs;
}

/* @node is in @heap, anywhere. */
static inline void umcg_heap_remove(struct umcg_heap *heap, struct umcg_node *node)
{
	struct umcg_node *below = umcg_heap_join(node->child);

	*node->back = node->next;
	if (node->next)
		node->next->back = node->back;
	heap->length--;
	if (below)
		umcg_heap_add(heap, below);
}

/* Take the first; NULL: there is none. */
static inline struct umcg_node *umcg_heap_get(struct umcg_heap *heap)
{
	struct umcg_node *node = heap->root;

	if (node)
		umcg_heap_remove(heap, node);
	return node;
}

/*
 * A queue by rank that also knows who waits longest: for policies that bound the wait. All
 * zero is an empty one. Its entry is the first thing in a thread's bytes.
 */
struct umcg_entry {
	struct umcg_node node;
	struct umcg_link link;
};

struct umcg_queue {
	struct umcg_heap ranks;		/* the smallest goes first */
	struct umcg_list ages;		/* the same threads in the order in which they came */
};

static inline void umcg_queue_put(struct umcg_queue *queue, struct umcg_entry *entry, uint64_t rank)
{
	umcg_heap_put(&queue->ranks, &entry->node, rank);
	umcg_list_put(&queue->ages, &entry->link);
}

/* In front of those with the same rank. */
static inline void umcg_queue_put_first(struct umcg_queue *queue, struct umcg_entry *entry, uint64_t rank)
{
	umcg_heap_put_first(&queue->ranks, &entry->node, rank);
	umcg_list_put(&queue->ages, &entry->link);
}

static inline void umcg_queue_remove(struct umcg_queue *queue, struct umcg_entry *entry)
{
	umcg_heap_remove(&queue->ranks, &entry->node);
	umcg_list_remove(&queue->ages, &entry->link);
}

/* NULL: there is none. */
static inline struct umcg_sched_thread *umcg_queue_first(const struct umcg_queue *queue)
{
	return umcg_thread_of(queue->ranks.root);
}

static inline struct umcg_sched_thread *umcg_of_age(const struct umcg_link *link)
{
	return link ? umcg_thread_of((const char *)link - offsetof(struct umcg_entry, link)) : NULL;
}

static inline struct umcg_sched_thread *umcg_queue_oldest(const struct umcg_queue *queue)
{
	return umcg_of_age(queue->ages.first);
}

/* Ranks have changed: each gets what @rank says now, equal ones in the order in which they came. */
static inline void umcg_queue_sort(struct umcg_sched *s, struct umcg_queue *queue,
				   uint64_t (*rank)(struct umcg_sched *s, struct umcg_sched_thread *t))
{
	queue->ranks.root = NULL;
	queue->ranks.length = 0;
	for (struct umcg_link *link = queue->ages.first; link; link = link->next) {
		struct umcg_sched_thread *t = umcg_of_age(link);
		struct umcg_entry *entry = (struct umcg_entry *)umcg_thread_data(t);

		umcg_heap_put(&queue->ranks, &entry->node, rank(s, t));
	}
}

/* For dump(). */
static inline void umcg_queue_print(struct umcg_sched *s, const struct umcg_queue *queue)
{
	umcg_print(s, "queue of %u", queue->ranks.length);
	if (queue->ranks.root)
		umcg_print(s, ", first %u with rank %llu, %u waits longest", umcg_queue_first(queue)->id,
			   (unsigned long long)queue->ranks.root->key, umcg_queue_oldest(queue)->id);
	umcg_print(s, "\n");
}

/* For dump(): all that is on @list, whose nodes are the first thing in the threads' bytes. */
static inline void umcg_list_print(struct umcg_sched *s, const char *name, const struct umcg_list *list)
{
	umcg_print(s, "%s of %u, next first:", name, list->length);
	for (struct umcg_link *link = list->first; link; link = link->next)
		umcg_print(s, " %u", umcg_thread_of(link)->id);
	umcg_print(s, "\n");
}

#ifdef __cplusplus
}
#endif

#endif /* UMCG_QUEUE_H */
