/*
 * Files whose contents are a text that the kernel makes when it is read: proc, cgroup2, sysfs.
 *
 * The text is made when the file is read from its start and stays with the open file, so a program that reads it in
 * pieces gets pieces of one text.
 */
#ifndef FS_TEXT_FILE_H
#define FS_TEXT_FILE_H
#include "fs/file.h"

/** Makes the text. May sleep. 0 or -errno. */
typedef int (*text_make_fn)(struct report *r, struct file *f);

/** read(2): make the text if *pos is 0 or there is none yet, and copy from it. The text is kept in
 * f->private. Bytes or -errno; -EFBIG: longer than 4 MiB. */
long text_file_read(struct file *f, unsigned long buf, size_t len, u64 *pos, text_make_fn make);
/** For write(2): copy the written string without its last newline to text[size]. 0, -EFAULT, -EINVAL (too long). */
int text_file_copy(unsigned long buf, size_t len, char *text, size_t size);
/** lseek(2) from the start or from here. */
long text_file_llseek(struct file *f, s64 offset, int whence);
/** Free the text. */
void text_file_release(struct file *f);
#endif
