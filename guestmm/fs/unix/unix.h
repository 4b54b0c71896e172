/*
 * AF_UNIX sockets (unix(7)): declarations that the files of this folder share.
 *
 *   file ──> struct unix_sock ──peer──> struct unix_sock <── file
 *                 │ queue                    │ queue: messages that it has not received yet
 *                 └ name: a path's inode, or an abstract name
 *
 * A message is sent by adding it to the receiver's queue. It carries the sender's credentials and, with
 * SCM_RIGHTS, open files, which are "in flight" meanwhile (garbage.c).
 *
 * I1  Connected stream sockets have each other as peer. Each holds a reference on the other.
 * I2  s->queued = bytes of the messages of s->queue.
 * I3  Messages are taken off s->queue only with s->read_lock held, except at the socket's end and when the
 *     garbage collector empties a socket that no process can reach.
 *
 * Locks: s->read_lock (a mutex; user memory is touched) > mmap_lock > unix_lock (a spinlock: all fields
 * and lists, of all sockets) > locks of wait queues.
 */
#ifndef FS_UNIX_H
#define FS_UNIX_H
#include "fs/async.h"
#include "fs/file.h"
#include "fs/iovec.h"

#define AF_UNIX		 1
#define SOCK_STREAM	 1
#define SOCK_DGRAM	 2
#define SOCK_RAW	 3
#define SOCK_SEQPACKET	 5
#define MSG_OOB		 1u
#define MSG_PEEK	 2u
#define MSG_CTRUNC	 8u
#define MSG_TRUNC	 0x20u
#define MSG_DONTWAIT	 0x40u
#define MSG_EOR		 0x80u
#define MSG_WAITALL	 0x100u
#define MSG_NOSIGNAL	 0x4000u
#define MSG_CMSG_CLOEXEC 0x40000000u

#define SOL_SOCKET   1
#define SNDBUF_LEAST 4608u /* SOCK_MIN_SNDBUF */

#define UNIX_PATH_MAX	 108
#define UNIX_FAMILY_SIZE 2
#define SCM_MAX_FDS	 253
#define UNIX_DGRAM_QUEUE 10		 /* messages: net.unix.max_dgram_qlen */
#define UNIX_SNDBUF	 212992		 /* bytes: net.core.wmem_default */
#define UNIX_CHUNK	 (8 * PAGE_SIZE) /* of a stream, in one message */
#define UNIX_SMALL	 1024u		 /* bytes that are stored in the message itself */

/** struct ucred. */
struct unix_cred {
	s32 pid;
	u32 uid, gid;
};

struct unix_name {
	s32 refs; /* A */
	u32 len;  /* of struct sockaddr_un, the family included */
	u16 family;
	char path[UNIX_PATH_MAX + 2]; /* with a NUL at the end of a path */
};

struct unix_sock;
struct unix_message {
	struct list_head node;	/* in a queue */
	u32 len, at;		/* bytes in all, and received so far */
	struct unix_cred cred;	/* C */
	struct unix_name *from; /* C: with a reference, or NULL */
	struct unix_sock
		*sock; /* C: a connection that waits to be accepted, with a reference, or NULL */
	u32 nr_files;
	struct file **files; /* with references, or NULL: none, or received */
	u32 nr_pages;
	void **pages; /* C: NULL: in `small` */
	char small[];
};

enum unix_state { UNIX_CLOSE, UNIX_LISTEN, UNIX_ESTABLISHED };
#define UNIX_SHUT_RD 1u
#define UNIX_SHUT_WR 2u

struct unix_sock {
	s32 refs;	 /* A: the file's, the peer's, a connection's that is not accepted */
	u8 type;	 /* C: SOCK_* */
	u8 state;	 /* unix_lock */
	u8 shut;	 /* unix_lock: UNIX_SHUT_* */
	bool dead;	 /* unix_lock: its file is closed */
	bool was_full;	 /* unix_lock: there was no room for a message: send SIGIO when there is */
	bool waited_for; /* unix_lock: a stream, and a thread sleeps in recv(2): send no SIGIO */
	bool passcred, reuse, keepalive; /* A: options */
	int error;			 /* unix_lock: what the next call reports, once */
	u32 sndbuf, rcvbuf;		 /* A: bytes */
	u64 rcvtimeo, sndtimeo;		 /* A: ns, 0: none */
	struct file *file;		 /* C: without a reference; NULL: not accepted yet */
	struct unix_sock *peer;		 /* unix_lock: with a reference */
	struct unix_name *name;		 /* unix_lock: with a reference; set once */
	struct inode *inode;		 /* unix_lock: with a reference: its path's */
	struct unix_cred cred;		 /* unix_lock: SO_PEERCRED: the peer's */
	u32 backlog;			 /* unix_lock */
	struct list_head queue;		 /* unix_lock */
	u32 queued, nr_queued;		 /* unix_lock: bytes, messages */
	struct mutex read_lock;		 /* receivers */
	struct mutex bind_lock;
	struct wait_queue wq;	    /* woken when anything changes: for poll and waits */
	struct list_head all;	    /* unix_lock */
	u32 inflight;		    /* unix_lock: messages' references to its file */
	struct list_head in_flight; /* unix_lock: while inflight != 0 */
	struct list_head gc;	    /* unix_lock: the collector's */
	u32 gc_refs;		    /* the collector's */
	u8 gc_state;
};

extern spinlock_t unix_lock;
extern struct list_head unix_all; /* unix_lock */
extern const struct file_ops unix_file_ops;

/* sock.c */
struct unix_sock *unix_alloc(int type); /* one reference; NULL: no memory */
void unix_get(struct unix_sock *s);
void unix_put(struct unix_sock *s); /* may sleep; not under unix_lock */
/** The socket of a file, or NULL. */
struct unix_sock *unix_of(const struct file *f);
/** Create a file for the socket, which takes over the caller's reference. NULL: no memory; the reference is still the
 * caller's. */
struct file *unix_file(struct unix_sock *s, u32 flags);
struct unix_cred unix_my_cred(void);
/** Sleep once on the queue unless `cond` is true. `until`: a ktime. 0; -EAGAIN: the time is over; -ERESTARTSYS or
 * -EINTR: a signal arrived. */
#define unix_wait(wq, cond, until)                                              \
	({                                                                      \
		struct wait_entry _we;                                          \
		u64 _until = (until), _now = _until == ~0ull ? 0 : ktime_ns();  \
		int _err = 0;                                                   \
		prepare_to_wait(wq, &_we);                                      \
		waits_here();                                                   \
		if (!(cond)) {                                                  \
			if (signal_pending())                                   \
				_err = _until == ~0ull ? -ERESTARTSYS : -EINTR; \
			else if (_now >= _until)                                \
				_err = -EAGAIN;                                 \
			else if (_until == ~0ull)                               \
				schedule();                                     \
			else                                                    \
				schedule_timeout(_until - _now);                \
		}                                                               \
		finish_wait(wq, &_we);                                          \
		_err;                                                           \
	})
/** The ktime until which a call waits. */
u64 unix_deadline(const struct file *f, u32 flags, u64 timeout);

/* name.c */
void unix_name_put(struct unix_name *n); /* NULL is fine */
/** Copy a name from user memory. *path: it is a path. Or ERR_PTR(-EINVAL, -EFAULT, -ENOMEM). */
struct unix_name *unix_name_get(unsigned long user, u64 len);
/** The socket bound to the name, with a reference; -ECONNREFUSED, -ENOENT, -EACCES, -EPROTOTYPE... */
struct unix_sock *unix_find(const struct unix_name *name, int type);
int unix_bind(struct unix_sock *s, unsigned long user, u64 len);
/** Give a socket without a name an abstract one. */
int unix_autobind(struct unix_sock *s);
/** Write a name (NULL: none) as struct sockaddr_un, cut to *len, which becomes its full length. */
int unix_name_out(const struct unix_name *n, unsigned long to, unsigned long user_len);

/* connect.c */
int unix_connect(struct file *f, struct unix_sock *s, unsigned long user, u64 len);
int unix_listen(struct unix_sock *s, int backlog);
long unix_accept(struct file *f, struct unix_sock *s, u32 flags, struct unix_sock **got);
int unix_shutdown(struct unix_sock *s, int how);
int unix_pair(struct unix_sock *a, struct unix_sock *b);
/** End a socket: disconnect it from its peer and its name, and drop the caller's reference. */
void unix_end(struct unix_sock *s);
/** The file is closed. */
void unix_release(struct file *f);

/* message.c */
/** The arguments of sendmsg(2) and recvmsg(2). */
struct unix_msg {
	struct iov_iter *iov;
	const char *kernel; /* not NULL: kernel memory to send instead of iov */
	u64 kernel_len;
	unsigned long name; /* user address of struct sockaddr_un, or 0 */
	u64 name_len;
	unsigned long control;	/* user address */
	u64 control_len;	/* out, of recvmsg: bytes written */
	u32 flags;		/* MSG_*: in; of recvmsg also out */
	struct unix_name *from; /* out, of recvmsg: with a reference */
	bool to_user_name;
};
long unix_send(struct file *f, struct unix_sock *s, struct unix_msg *m);
long unix_receive(struct file *f, struct unix_sock *s, struct unix_msg *m);
/** Free a message that is in no queue, with the files that it carries. May sleep. */
void unix_message_free(struct unix_message *m);

/* control.c */
/** Files and credentials that a sendmsg(2) sends. It has references on the files. */
struct unix_carried {
	struct file **files;
	u32 nr_files;
	struct unix_cred cred;
};
/** Where control messages of a recvmsg(2) are written. */
struct unix_control {
	unsigned long to; /* user address */
	u64 left, done;	  /* bytes */
	u32 flags;	  /* MSG_CTRUNC */
};
/** Read the control messages of `m`. 0; -EBADF, -EFAULT, -EINVAL, -ENOMEM, -EPERM, -ESRCH: nothing is held. */
int unix_carried_get(struct unix_carried *c, const struct unix_msg *m);
/** Drop the references on the files that no message has taken over. */
void unix_carried_put(struct unix_carried *c);
/** Write the control messages of message `m`, which arrive with its first bytes at socket `s`. read_lock held. */
void unix_put_carried(struct unix_sock *s, struct unix_msg *out, struct unix_control *c,
		      struct unix_message *m);

/* calls.c */
/** The socket of a descriptor. *f receives its file, with a reference. Or ERR_PTR(-EBADF, -ENOTSOCK), without one. */
struct unix_sock *unix_get_socket(u32 fd, struct file **f);

/* garbage.c: unix_lock held */
/** Count the files of a message as in flight. */
void unix_inflight(struct unix_message *m);
/** Undo that. */
void unix_notinflight(struct unix_message *m);
/** Number of references on files that are in flight. */
extern u32 unix_total_inflight;
/** Find the sockets that can be reached only from the queues of each other, and move their messages to `dead`. */
void unix_collect(struct list_head *dead);
/** Move all messages of a queue to `to`, and count their files as no longer in flight. */
void unix_queue_take(struct unix_sock *s, struct list_head *to);
#endif
