// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Can the loader put a library into a program? Not into one without a loader, nor into
 * one that gets rights from its file; and one that makes its threads by itself would
 * not notice.
 */
#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "umcg-run.h"

#define SCRIPTS	4	/* interpreted by scripts; the kernel's own limit */

struct file {
	const unsigned char *bytes;
	size_t size;
};

static bool is_inside(const struct file *f, uint64_t at, uint64_t size)
{
	return at <= f->size && size <= f->size - at;
}

static const char *section_name(const struct file *f, const Elf64_Ehdr *e, uint32_t index)
{
	const Elf64_Shdr *table = (const void *)(f->bytes + e->e_shoff);
	const Elf64_Shdr *names = &table[e->e_shstrndx];
	uint64_t at = table[index].sh_name;

	if (e->e_shstrndx >= e->e_shnum || !is_inside(f, names->sh_offset, names->sh_size) ||
	    at >= names->sh_size || !memchr(f->bytes + names->sh_offset + at, 0, names->sh_size - at))
		return "";
	return (const char *)f->bytes + names->sh_offset + at;
}

static bool is_go(const struct file *f, const Elf64_Ehdr *e)
{
	if (e->e_shentsize != sizeof(Elf64_Shdr) ||
	    !is_inside(f, e->e_shoff, (uint64_t)e->e_shnum * sizeof(Elf64_Shdr)))
		return false;
	for (uint32_t i = 0; i < e->e_shnum; i++)
		if (!strcmp(section_name(f, e, i), ".go.buildinfo"))
			return true;
	return false;
}

static const char *look_at_elf(const struct file *f)
{
	const Elf64_Ehdr *e = (const void *)f->bytes;
	const char *loader = NULL;

	if (f->size < sizeof(*e) || e->e_ident[EI_CLASS] != ELFCLASS64 || e->e_machine != EM_X86_64)
		return "is for another machine than x86-64";
	if (is_go(f, e))
		return "is written in Go, which makes its threads without libc";
	if (e->e_phentsize != sizeof(Elf64_Phdr) ||
	    !is_inside(f, e->e_phoff, (uint64_t)e->e_phnum * sizeof(Elf64_Phdr)))
		return "is damaged";
	for (uint32_t i = 0; i < e->e_phnum; i++) {
		const Elf64_Phdr *p = (const Elf64_Phdr *)(const void *)(f->bytes + e->e_phoff) + i;

		if (p->p_type == PT_INTERP && p->p_filesz && is_inside(f, p->p_offset, p->p_filesz) &&
		    !f->bytes[p->p_offset + p->p_filesz - 1])
			loader = (const char *)f->bytes + p->p_offset;
	}
	if (!loader)
		return "is linked statically";
	if (strstr(loader, "ld-musl"))
		return "uses musl instead of glibc";
	return NULL;
}

static const char *look_at_script(const struct file *f, int depth)
{
	char line[PATH_MAX];
	size_t n = f->size - 2 < sizeof(line) - 1 ? f->size - 2 : sizeof(line) - 1;
	char *at = line;

	memcpy(line, f->bytes + 2, n);
	line[n] = 0;
	line[strcspn(line, "\n")] = 0;
	at += strspn(at, " \t");
	at[strcspn(at, " \t\r")] = 0;
	return *at && depth < SCRIPTS ? why_plain(at, depth + 1) : NULL;
}

static const char *look_at_rights(int fd, const struct stat *stat)
{
	if ((stat->st_mode & S_ISUID) && stat->st_uid != geteuid())
		return "is setuid, and the loader puts nothing into such programs";
	if ((stat->st_mode & S_ISGID) && stat->st_gid != getegid())
		return "is setgid, and the loader puts nothing into such programs";
	if (geteuid() && fgetxattr(fd, "security.capability", NULL, 0) > 0)
		return "has capabilities, and the loader puts nothing into such programs";
	return NULL;
}

/* What cannot be read is not judged: execve() will say what is wrong. */
const char *why_plain(const char *path, int depth)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	const char *why = NULL;
	struct stat stat;
	struct file f;

	if (fd < 0)
		return NULL;
	if (fstat(fd, &stat) || !S_ISREG(stat.st_mode) || stat.st_size < 4)
		goto out;
	why = look_at_rights(fd, &stat);
	if (why)
		goto out;
	f.size = (size_t)stat.st_size;
	f.bytes = mmap(NULL, f.size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (f.bytes == MAP_FAILED)
		goto out;
	if (!memcmp(f.bytes, ELFMAG, SELFMAG))
		why = look_at_elf(&f);
	else if (!memcmp(f.bytes, "#!", 2))
		why = look_at_script(&f, depth);
	munmap((void *)(uintptr_t)f.bytes, f.size);
out:
	close(fd);
	return why;
}
