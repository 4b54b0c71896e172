/*
 * Open files for mm/ on the host: a reference count, read-ahead, and who asked for a sync.
 */
#include <stdio.h>
#include <stdlib.h>
#include "host.h"
#include "mm/cache/pagecache.h"

struct file {
	s32 refs;
	struct file_ra_state ra;
	const char *name;
};
u64 host_file_syncs, host_file_sync_start, host_file_sync_end;

struct file *host_file(const char *name)
{
	struct file *f = calloc(1, sizeof(*f));

	if (!f)
		abort();
	f->refs = 1;
	f->name = name;
	return f;
}

int host_file_refs(const struct file *f)
{
	return f->refs;
}

void file_get(struct file *f)
{
	f->refs++;
}

int exe_file_get(struct file *f)
{
	file_get(f);
	return 0;
}

void exe_file_put(struct file *f)
{
	file_put(f);
}

void file_put_later(struct file *f)
{
	file_put(f);
}

void file_put(struct file *f)
{
	if (--f->refs <= 0)
		panic("a test's file has lost its last reference");
}

void file_describe(struct file *f, u32 *major, u32 *minor, u64 *ino, char *buf, size_t size)
{
	*major = 8;
	*minor = 1;
	*ino = 42;
	snprintf(buf, size, "%s", f->name);
}

struct file_ra_state *file_ra(struct file *f)
{
	return &f->ra;
}

int file_sync_range(struct file *f, u64 start, u64 end)
{
	host_file_syncs++;
	host_file_sync_start = start;
	host_file_sync_end = end;
	return 0;
}
