// SPDX-License-Identifier: MIT
/* A FUSE file system with one file of zeros, whose reads are answered or not. */
#include <fcntl.h>
#include <linux/fuse.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "libraw.h"
#include "libslowfs.h"

#define PAGE	4096

static int device;
static volatile int *silence;

void become_user(void)
{
	CHECK_EQ(setresgid(SLOW_FILES_UID, SLOW_FILES_UID, SLOW_FILES_UID), 0);
	CHECK_EQ(setresuid(SLOW_FILES_UID, SLOW_FILES_UID, SLOW_FILES_UID), 0);
}

static void reply(uint64_t unique, int error, const void *data, size_t len)
{
	static char buf[1 << 17];
	struct fuse_out_header *h = (void *)buf;

	CHECK(sizeof(*h) + len <= sizeof(buf));
	h->len = sizeof(*h) + len;
	h->error = error;
	h->unique = unique;
	memcpy(h + 1, data, len);
	/* ENOENT: the task that asked has been killed meanwhile. */
	CHECK(write(device, buf, h->len) == (ssize_t)h->len || errno == ENOENT);
}

static struct fuse_attr attr_of(uint64_t inode)
{
	return (struct fuse_attr) {
		.ino = inode, .nlink = 1, .uid = SLOW_FILES_UID,
		.gid = SLOW_FILES_UID, .blksize = PAGE,
		.mode = inode == FUSE_ROOT_ID ? S_IFDIR | 0777 : S_IFREG | 0666,
		.size = inode == FUSE_ROOT_ID ? 0 : SLOW_FILES_PAGES * PAGE,
	};
}

static void answer(const struct fuse_in_header *h)
{
	static const char zeros[1 << 16];
	static uint32_t seed = 1;
	const struct fuse_read_in *read_in = (const void *)(h + 1);
	struct fuse_init_out init = {
		.major = FUSE_KERNEL_VERSION, .minor = 31, .max_readahead = PAGE,
		.max_write = PAGE, .max_background = 1000, .congestion_threshold = 900,
		.flags = FUSE_ASYNC_READ,
	};
	struct fuse_entry_out entry = { .nodeid = 2, .entry_valid = 1000, .attr_valid = 1000 };
	struct fuse_attr_out attr = { .attr_valid = 1000 };
	struct fuse_open_out open = { .fh = 1, .open_flags = FOPEN_KEEP_CACHE };

	switch (h->opcode) {
	case FUSE_INIT:
		reply(h->unique, 0, &init, sizeof(init));
		break;
	case FUSE_LOOKUP:
		entry.attr = attr_of(2);
		reply(h->unique, 0, &entry, sizeof(entry));
		break;
	case FUSE_GETATTR:
		attr.attr = attr_of(h->nodeid);
		reply(h->unique, 0, &attr, sizeof(attr));
		break;
	case FUSE_OPEN:
		reply(h->unique, 0, &open, sizeof(open));
		break;
	case FUSE_READ:
		if (raw_random(&seed) % 100 >= (uint32_t)*silence)
			reply(h->unique, 0, zeros, read_in->size);
		break;
	case FUSE_FLUSH:
	case FUSE_RELEASE:
		reply(h->unique, 0, NULL, 0);
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		break;		/* no answer is due */
	default:
		reply(h->unique, -ENOSYS, NULL, 0);
	}
}

static void serves_files(void *arg)
{
	static char buf[1 << 18];

	(void)arg;
	become_user();
	for (;;) {
		ssize_t n = read(device, buf, sizeof(buf));

		if (n > 0)
			answer((const void *)buf);
		else
			CHECK(errno == EINTR || errno == ENOENT || errno == EAGAIN);
	}
}

pid_t slow_files_mount(volatile int *percent_silent)
{
	char options[128];
	pid_t pid;

	silence = percent_silent;
	mkdir("/tmp", 0777);
	mkdir(SLOW_FILES_DIR, 0777);
	device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (device < 0)
		return 0;
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=%d,group_id=%d,allow_other",
		 device, SLOW_FILES_UID, SLOW_FILES_UID);
	if (mount("fuse", SLOW_FILES_DIR, "fuse", MS_NOSUID | MS_NODEV, options)) {
		close(device);
		return 0;
	}
	pid = child_start(serves_files, NULL);
	close(device);
	return pid;
}

void slow_files_unmount(pid_t pid)
{
	kill(pid, SIGKILL);
	child_wait(pid);
	CHECK_EQ(umount2(SLOW_FILES_DIR, MNT_DETACH), 0);
}

char *slow_files_map(long pages)
{
	int file = open(SLOW_FILES_DIR "/file", O_RDONLY | O_CLOEXEC);
	char *p;

	CHECK(file >= 0 && pages <= SLOW_FILES_PAGES);
	p = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
	CHECK(p != MAP_FAILED);
	/*
	 * Pages are read ahead, so that a reader of one waits for its lock, and can be killed. A
	 * read of one page that FUSE has sent cannot be interrupted by anything, in any process.
	 */
	CHECK_EQ(madvise(p, pages * PAGE, MADV_SEQUENTIAL), 0);
	for (long i = 0; i < pages; i++)
		p[i * PAGE] = 1;
	CHECK_EQ(posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED), 0);
	close(file);
	return p;
}
