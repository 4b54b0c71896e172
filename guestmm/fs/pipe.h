/*
 * A pipe: a ring of references to pages between two files.
 *
 *        tail                       head
 *   ... [ buf ][ buf ][ buf ][ buf ] ...          buf[i % ring_size]: page, offset, length
 *          |      |      |      |
 *          v      v      v      v
 *        pipe's  file's file's program's page
 *
 * write(2) adds pages that belong to the pipe. splice(2), tee(2) and vmsplice(2) (fs/splice.c) add pages of the page
 * cache, of another pipe, or of a program's memory, without copying the bytes.
 *
 * P1  head - tail <= ring_size. Each buffer of [tail, head) has at least one byte, all within its page.
 * P2  A buffer holds one reference, on the folio of its page; not on zero pages, which are never freed.
 * P3  The owner of a page may change the bytes of its buffer. The pipe writes only to its own pages, if a single buffer
 *     refers to the page, and only after that buffer's bytes (PIPE_BUF_CAN_MERGE).
 * P4  PIPE_BUF_PACKET: a read returns the bytes of one such buffer at most, and drops the rest of it.
 *
 * Locks: p->lock, above inode->lock and mmap_lock: user memory and files are touched while it is held. Two
 * pipes: the one at the lower address first.
 */
#ifndef FS_PIPE_H
#define FS_PIPE_H
#include "fs/file.h"
#include "lib/errno.h"
#include "mm/phys/folio.h"

#define PIPE_BUF	   4096u
#define PIPE_DEF_BUFFERS   16u
#define PIPE_BUF_CAN_MERGE 1u
#define PIPE_BUF_PACKET	   2u

struct pipe_buffer {
	struct page *page;
	struct page *held; /* head of its folio, with a reference; NULL: a zero page */
	u32 offset, len;   /* bytes */
	u32 flags;	   /* PIPE_BUF_* */
};

struct pipe {
	struct mutex lock;
	struct wait_queue wq; /* for data, room, and ends */
	u32 readers, writers; /* lock */
	u32 opened_r,
		opened_w; /* lock: counts opens, for a waiter to notice an end that was closed again */
	const struct inode *inode; /* C: a named pipe's, or NULL */
	struct list_head node;	   /* fifo_lock: named pipes that are open */
	struct list_head all;	   /* pipes_lock: all pipes, for the audit */
	u32 head, tail; /* lock: buffers put in and taken out since the beginning, wrapping */
	u32 ring_size;	/* lock: a power of two */
	struct pipe_buffer *bufs; /* lock */
};

/** The pipe of a file, or NULL. */
struct pipe *file_pipe(const struct file *f);

/* Without the lock the answers may be out of date. */
static inline bool pipe_empty(const struct pipe *p)
{
	return READ_ONCE(p->head) == READ_ONCE(p->tail);
}
static inline bool pipe_full(const struct pipe *p)
{
	return READ_ONCE(p->head) - READ_ONCE(p->tail) >= READ_ONCE(p->ring_size);
}

/** Round a number of bytes for F_SETPIPE_SZ and pipe-max-size to a power of two pages, as Linux does. */
static inline u64 pipe_round_size(u32 bytes)
{
	u64 size = PAGE_SIZE;

	while (size < bytes)
		size *= 2;
	return size;
}

/* The lock is held for these. */
static inline struct pipe_buffer *pipe_buf(const struct pipe *p, u32 at)
{
	return &p->bufs[at & (p->ring_size - 1)];
}
/** Add a buffer, and take over the caller's reference. The pipe must not be full. */
static inline void pipe_push(struct pipe *p, const struct pipe_buffer *b)
{
	*pipe_buf(p, p->head) = *b;
	WRITE_ONCE(p->head, p->head + 1);
}
static inline void pipe_buf_put(const struct pipe_buffer *b)
{
	if (b->held)
		put_page(b->held);
}
/** Remove the first n bytes of the oldest buffer, and drop the buffer if none are left. */
static inline void pipe_consume(struct pipe *p, u32 n)
{
	struct pipe_buffer *b = pipe_buf(p, p->tail);

	b->offset += n;
	b->len -= n;
	if (!b->len) {
		pipe_buf_put(b);
		WRITE_ONCE(p->tail, p->tail + 1);
	}
}

/** Create a pipe and the files of its ends: end[0] for reading, end[1] for writing. 0 or -ENOMEM. */
int pipe_files(struct file *end[2], u32 flags);
/** Send SIGPIPE to the current thread. Returns -EPIPE. */
long broken_pipe(void);

/** fcntl(2) F_SETPIPE_SZ: give a pipe buffers for at least `size` bytes. Returns the new size, or -EBADF (no pipe),
 * -EPERM, -EBUSY, -EINVAL, -ENOMEM. */
long pipe_set_size(struct file *f, unsigned long size);
extern unsigned int pipe_max_size; /* /proc/sys/fs/pipe-max-size, bytes */
/** At boot: tell the audit where pipes are. */
void pipe_init(void);

/* splice.c: return the number of bytes moved as references, 0 at the end, or -errno. They wait for room and for the
 * first byte; with SPLICE_F_NONBLOCK they return -EAGAIN instead. No locks held. */
#define SPLICE_F_NONBLOCK 2u
struct iov_iter;
long file_to_pipe(struct file *in, u64 *pos, struct pipe *p, u64 len, u32 flags);
long pipe_to_pipe(struct pipe *in, struct pipe *out, u64 len, u32 flags);
long tee_pipes(struct pipe *in, struct pipe *out, u64 len, u32 flags);
long memory_to_pipe(struct mm_struct *mm, struct iov_iter *v, struct pipe *p, u32 flags);
/** Has the file pages in the page cache that a pipe may refer to? */
bool can_splice_from(const struct file *f);
struct page_piece;
/** Drop the references of `n` pieces. */
void put_pieces(const struct page_piece *piece, int n);
/** Report to inotify that `ret` bytes were moved from one file to the other. Returns ret. */
long notify_transfer(struct file *in, struct file *out, long ret);
#endif
