/*
 * Files whose contents are generated: see text_file.h.
 *
 * Locks: none of its own; a file's pos_lock guards its text.
 */
#include "fs/text_file.h"
#include "arch/uaccess.h"
#include "lib/errno.h"
#include "mm/kvirt/vmalloc.h"

#define MAX_TEXT (4ul << 20)

struct text {
	size_t len;
	char data[];
};

/* Generate the text in a buffer, and try a larger one until it fits. */
static int make_text(struct file *f, text_make_fn make)
{
	text_file_release(f);
	for (size_t size = 2 * PAGE_SIZE; size <= MAX_TEXT; size *= 4) {
		struct text *t = vmalloc(size);
		struct report r = {0};
		int err;

		if (!t)
			return -ENOMEM;
		r.buf = t->data;
		r.size = size - sizeof(*t);
		err = make(&r, f);
		if (!err && !r.overflow) {
			t->len = r.len;
			f->private = t;
			return 0;
		}
		vfree(t);
		if (err)
			return err;
	}
	return -EFBIG;
}

long text_file_read(struct file *f, unsigned long buf, size_t len, u64 *pos, text_make_fn make)
{
	struct text *t;
	int err;

	if (!f->private || *pos == 0) {
		err = make_text(f, make);
		if (err)
			return err;
	}
	t = f->private;
	if (*pos >= t->len)
		return 0;
	len = min(len, t->len - (size_t)*pos);
	if (copy_to_user(buf, t->data + *pos, len))
		return -EFAULT;
	*pos += len;
	return len;
}

int text_file_copy(unsigned long buf, size_t len, char *text, size_t size)
{
	if (len >= size)
		return -EINVAL;
	if (copy_from_user(text, buf, len))
		return -EFAULT;
	text[len] = 0;
	if (len && text[len - 1] == '\n')
		text[len - 1] = 0;
	return 0;
}

long text_file_llseek(struct file *f, s64 offset, int whence)
{
	if (whence == 1)
		offset += f->pos;
	else if (whence != 0)
		return -EINVAL;
	if (offset < 0)
		return -EINVAL;
	return f->pos = offset;
}

void text_file_release(struct file *f)
{
	if (f->private)
		vfree(f->private);
	f->private = NULL;
}
