// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The libraries' calloc() and free() in here (the linker's --wrap): the program's may
 * be what makes the first thread, and has its locks.
 */
#include <stddef.h>
#include <sys/mman.h>

#define HEAD	64	/* keeps what the libraries align */

void *__wrap_calloc(size_t count, size_t size);
void __wrap_free(void *memory);

void *__wrap_calloc(size_t count, size_t size)
{
	size_t bytes, *head;

	if (__builtin_mul_overflow(count, size, &bytes) || __builtin_add_overflow(bytes, HEAD, &bytes))
		return NULL;
	head = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (head == MAP_FAILED)
		return NULL;
	*head = bytes;
	return (char *)head + HEAD;
}

void __wrap_free(void *memory)
{
	size_t *head = memory ? (size_t *)(void *)((char *)memory - HEAD) : NULL;

	if (head)
		munmap(head, *head);
}
