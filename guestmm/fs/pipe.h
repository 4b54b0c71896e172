/*
 * A pipe: a ring of references to pages between two files.
 *
 *        tail                       head
 *   ... [ buf ][ buf ][ buf ][ buf ] ...          buf[i % ring_size]: page, offset, length
 *          |      |      |      |
 *          v      v      v      v
 *        pipe's  file's file's program's page
 *
 * write(2) puts in pages of the pipe's own. splice(2), tee(2) and vmsplice(2) (fs/splice.c) put in pages of the
 * page cache, of another pipe, of a program's memory: the bytes stay where they are.
 *
 * P1  head - tail <= ring_size. Each buffer of [tail, head) has at least one byte, all within its page.
 * P2  A buffer holds one reference, on the folio of its page; not on zero pages, which are never freed.
 * P3  The bytes of a buffer belong to whoever owns the page, and may change. Only a page of the pipe's own
 *     that one buffer refers to is written to, beyond that buffer's bytes (PIPE_BUF_CAN_MERGE).
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
		opened_w; /* lock: counts opens, so that a waiter for the other end also sees one that was closed again */
	const struct inode *inode; /* C: a named pipe's, or NULL */
	struct list_head node;	   /* fifo_lock: named pipes that are open */
	struct list_head all;	   /* pipes_lock: all pipes, for the audit */
	u32 head, tail; /* lock: buffers put in and taken out since the beginning, wrapping */
	u32 ring_size;	/* lock: a power of two */
	struct pipe_buffer *bufs; /* lock */
};

/** The pipe of a file, or NULL. */
struct pipe *file_pipe(const struct file *f);

/* Looks that need no lock may be old. */
static inline bool pipe_empty(const struct pipe *p)
{
	return READ_ONCE(p->head) == READ_ONCE(p->tail);
}
static inline bool pipe_full(const struct pipe *p)
{
	return READ_ONCE(p->head) - READ_ONCE(p->tail) >= READ_ONCE(p->ring_size);
}

/** What F_SETPIPE_SZ and pipe-max-size make of a number of bytes: a power of two pages, as Linux does. */
static inline u64 pipe_round_size(u32 bytes)
{
	u64 size = PAGE_SIZE;

	while (size < bytes)
		size *= 2;
	return size;
}

/* All with the lock held. */
static inline struct pipe_buffer *pipe_buf(const struct pipe *p, u32 at)
{
	return &p->bufs[at & (p->ring_size - 1)];
}
/** There is room: the caller's reference becomes the pipe's. */
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
/** The first n bytes of the oldest buffer have been used: it is dropped with its last one. */
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

/** Two files, the ends of a new pipe: end[0] is read. 0 or -ENOMEM. */
int pipe_files(struct file *end[2], u32 flags);
/** The signal of a pipe that nobody reads. Returns -EPIPE. */
long broken_pipe(void);

/** fcntl(2): bytes a pipe has buffers for, set to at least `size`. -EBADF: no pipe; -EPERM, -EBUSY, -EINVAL,
 * -ENOMEM. Returns the new size. */
long pipe_set_size(struct file *f, unsigned long size);
extern unsigned int pipe_max_size; /* /proc/sys/fs/pipe-max-size, bytes */
/** Tell the audit where pipes are. */
void pipe_init(void);

/* splice.c: bytes that were moved, as references; 0: the end; or -errno. No locks held; they wait for room and
 * for the first byte, but with SPLICE_F_NONBLOCK: -EAGAIN. */
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
/** `ret` bytes have moved from one file to the other: inotify reports it. Returns ret. */
long notify_transfer(struct file *in, struct file *out, long ret);
#endif
