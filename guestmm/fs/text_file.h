/*
 * Files whose contents are a text that the kernel generates when it is read: proc, cgroup2, sysfs.
 *
 * The text is generated when the file is read from its start. It is kept with the open file, so a program that reads it
 * in pieces gets pieces of the same text.
 */
#ifndef FS_TEXT_FILE_H
#define FS_TEXT_FILE_H
#include "fs/file.h"

/** Write the text to r. May sleep. 0 or -errno. */
typedef int (*text_make_fn)(struct report *r, struct file *f);

/** read(2): generate the text if *pos is 0 or there is none yet, and copy from it. f->private keeps the text. Returns
 * bytes or -errno; -EFBIG: the text is longer than 4 MiB. */
long text_file_read(struct file *f, unsigned long buf, size_t len, u64 *pos, text_make_fn make);
/** For write(2): copy the written string, without a newline at its end, to text[size]. 0, -EFAULT, -EINVAL (too
 * long). */
int text_file_copy(unsigned long buf, size_t len, char *text, size_t size);
/** lseek(2) with SEEK_SET or SEEK_CUR. */
long text_file_llseek(struct file *f, s64 offset, int whence);
/** Free the text. */
void text_file_release(struct file *f);
#endif
