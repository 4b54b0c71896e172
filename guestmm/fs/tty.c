/*
 * The terminal: one, on the console port (drivers/console_port.h).
 *
 *   port  ──> tty_receive() ──> line discipline (lib/ldisc.c) ──> read(2)
 *                │ ^C ^Z                   └─ echo ──> console
 *                └─> signal to the foreground group
 *
 * tty_jobs.c has the session that owns the terminal, and its foreground group.
 *
 * If the standard input of mmvm is a pipe or a file, the console is a stream and no terminal: no byte has a
 * special meaning, ioctls for terminals fail with ENOTTY, and it has an end. Input starts with the first read.
 *
 * Locks: tty.lock (interrupts off) for the line discipline, the window, the stream's end.
 */
#include "fs/async.h"
#include "kernel/boot_info.h"
#include "fs/tty_internal.h"
#include "arch/uaccess.h"
#include "drivers/console_port.h"
#include "kernel/console.h"
#include "kernel/time_calls.h"
#include "fs/poll.h"
#include "lib/errno.h"
#include "lib/ldisc.h"
#include "lib/string.h"
#include "mm/phys/zone.h"

#define TCGETS	   0x5401u
#define TCSETS	   0x5402u
#define TCSETSW	   0x5403u
#define TCSETSF	   0x5404u
#define TCSBRK	   0x5409u
#define TCXONC	   0x540au
#define TCFLSH	   0x540bu
#define TIOCSCTTY  0x540eu
#define TIOCGPGRP  0x540fu
#define TIOCSPGRP  0x5410u
#define TIOCOUTQ   0x5411u
#define TIOCGWINSZ 0x5413u
#define TIOCSWINSZ 0x5414u
#define TIOCNOTTY  0x5422u
#define TIOCGSID   0x5429u
#define TCSBRKP	   0x5425u

struct winsize {
	u16 rows, cols, xpixel, ypixel;
};

static struct {
	spinlock_t lock;
	struct ldisc line; /* lock */
	struct wait_queue wq;
	enum { INPUT_NONE, INPUT_STREAM, INPUT_TTY } input; /* C after tty_init() */
	bool ended;					    /* lock: the stream is at its end */
	struct winsize size;				    /* lock */
	const struct console_port *port;		    /* C after tty_init() */
} tty = {.lock = SPINLOCK_INIT, .wq = WAIT_QUEUE_INIT(tty.wq)};

bool tty_is_terminal(void)
{
	return tty.input == INPUT_TTY;
}

/* ---- from the driver -------------------------------------------------------------------------- */

static u32 tty_room(void)
{
	unsigned long flags = spin_lock_irqsave(&tty.lock);
	u32 n = ldisc_room(&tty.line);

	spin_unlock_irqrestore(&tty.lock, flags);
	return n;
}

static void tty_receive(const u8 *bytes, u32 n)
{
	for (u32 i = 0; i < n; i++) {
		unsigned long flags = spin_lock_irqsave(&tty.lock);
		int sig = ldisc_key(&tty.line, bytes[i]);

		spin_unlock_irqrestore(&tty.lock, flags);
		if (sig)
			tty_signal_foreground(sig);
	}
	wake_up(&tty.wq);
	async_notify(&tty, POLL_IN);
}

static void tty_break(void)
{
	unsigned long flags;

	if (tty.input != INPUT_STREAM) {
		tty_signal_foreground(SIGINT);
		return;
	}
	flags = spin_lock_irqsave(&tty.lock);
	tty.ended = true;
	spin_unlock_irqrestore(&tty.lock, flags);
	wake_up(&tty.wq);
}

static void set_size(const struct winsize *size)
{
	unsigned long flags = spin_lock_irqsave(&tty.lock);
	bool changed = memcmp(&tty.size, size, sizeof(*size)) != 0;

	tty.size = *size;
	spin_unlock_irqrestore(&tty.lock, flags);
	if (changed)
		tty_signal_foreground(SIGWINCH);
}

static void tty_resized(void)
{
	struct winsize size = {0};

	tty.port->size(&size.rows, &size.cols);
	set_size(&size);
}

static void line_out(void *arg, const char *buf, size_t n)
{
	tty.port->write(buf, n);
}

/* ---- reading and writing ---------------------------------------------------------------------- */

static long tty_write(struct file *f, unsigned long buf, size_t len, u64 *pos)
{
	char chunk[256];
	size_t done = 0;
	long err = 0;

	if (tty.input == INPUT_TTY && READ_ONCE(tty.line.t.lflag) & TOSTOP)
		err = tty_check_foreground(SIGTTOU);
	while (!err && done < len) {
		size_t n = min(len - done, sizeof(chunk));
		unsigned long flags;

		if (copy_from_user(chunk, buf + done, n)) {
			err = -EFAULT;
			break;
		}
		if (tty.input != INPUT_TTY) {
			tty.port->write(chunk, n);
			done += n;
			continue;
		}
		if (READ_ONCE(tty.line.stopped)) {
			err = f->flags & O_NONBLOCK
				      ? -EAGAIN
				      : wait_event_interruptible(&tty.wq,
								 !READ_ONCE(tty.line.stopped));
			if (err)
				break;
		}
		flags = spin_lock_irqsave(&tty.lock);
		ldisc_write(&tty.line, chunk, n);
		spin_unlock_irqrestore(&tty.lock, flags);
		done += n;
	}
	return done ? (long)done : err;
}

static long tty_write_kernel(struct file *f, const void *buf, size_t len)
{
	tty.port->write(buf, len);
	return len;
}

/* Can a read of `len` bytes return now? */
static bool readable(size_t len)
{
	unsigned long flags = spin_lock_irqsave(&tty.lock);
	const struct termios *t = &tty.line.t;
	bool eof, ready;
	u32 n = ldisc_ready(&tty.line, &eof);
	size_t want = 1;

	if (!(t->lflag & ICANON) && tty.input == INPUT_TTY && !t->cc[VTIME] && t->cc[VMIN])
		want = min((size_t)t->cc[VMIN], len);
	ready = eof || n >= want || tty.ended;
	spin_unlock_irqrestore(&tty.lock, flags);
	return ready;
}

/* Wait for input. If VMIN is 0, VTIME limits the wait for the first byte. Otherwise it limits the time between two
 * bytes, and the wait for the first byte has no limit. 0; 1: the time is over; or -errno. */
static long wait_for_input(struct file *f, size_t len)
{
	bool raw = tty.input == INPUT_TTY && !(READ_ONCE(tty.line.t.lflag) & ICANON);
	u8 vmin = READ_ONCE(tty.line.t.cc[VMIN]), vtime = READ_ONCE(tty.line.t.cc[VTIME]);
	u64 until = vtime * (NSEC_PER_SEC / 10);
	struct wait_entry we;
	long ret = 0;

	if (readable(len))
		return 0;
	if (raw && !vmin && !vtime)
		return 1;
	if (f->flags & O_NONBLOCK)
		return -EAGAIN;
	if (!raw || vmin)
		return wait_event_interruptible(&tty.wq, readable(len));
	until += ktime_ns();
	while (!readable(len) && !ret) {
		u64 now = ktime_ns();

		if (now >= until)
			return 1;
		prepare_to_wait(&tty.wq, &we);
		waits_here();
		if (signal_pending())
			ret = -ERESTARTSYS;
		else if (!readable(len))
			schedule_timeout(until - now);
		finish_wait(&tty.wq, &we);
	}
	return ret;
}

static long take(u8 *chunk, size_t n, bool *ended)
{
	unsigned long flags = spin_lock_irqsave(&tty.lock);
	u32 got = ldisc_read(&tty.line, chunk, n, ended);

	*ended |= tty.ended && !got;
	spin_unlock_irqrestore(&tty.lock, flags);
	tty.port->start_receiving(); /* there is room again */
	return got;
}

static long tty_read(struct file *f, unsigned long buf, size_t len, u64 *pos)
{
	u8 chunk[256];
	bool ended = false;
	size_t done = 0;
	long n;

	if (tty.input == INPUT_NONE || !len)
		return 0;
	tty.port->start_receiving();
	for (;;) {
		n = tty.input == INPUT_TTY ? tty_check_foreground(SIGTTIN) : 0;
		if (!n)
			n = wait_for_input(f, len);
		if (n)
			return n < 0 ? n : 0;
		n = take(chunk, min(len, sizeof(chunk)), &ended);
		if (n || ended)
			break;
	}
	/* Copy the rest of the line, or of the input so far, without waiting. */
	while (n > 0) {
		if (copy_to_user(buf + done, chunk, n))
			return done ? (long)done : -EFAULT;
		done += n;
		if (done == len || ended)
			break;
		n = take(chunk, min(len - done, sizeof(chunk)), &ended);
	}
	return done;
}

static u32 tty_poll(struct file *f, struct wait_queue **wq)
{
	if (wq)
		*wq = &tty.wq;
	if (tty.input == INPUT_NONE)
		return POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM;
	tty.port->start_receiving();
	return (readable(1) ? POLLIN | POLLRDNORM : 0) |
	       (READ_ONCE(tty.line.stopped) ? 0 : POLLOUT | POLLWRNORM);
}

/* ---- ioctls ----------------------------------------------------------------------------------- */

/* Should input that was typed but not read yet be dropped? */
enum input { KEEP_INPUT, DROP_INPUT };

static long set_termios(unsigned long arg, enum input input)
{
	struct termios t;
	unsigned long flags;
	long err = tty_check_foreground(SIGTTOU);

	if (err)
		return err;
	if (copy_from_user(&t, arg, sizeof(t)))
		return -EFAULT;
	flags = spin_lock_irqsave(&tty.lock);
	if (input == DROP_INPUT)
		ldisc_flush(&tty.line);
	ldisc_set(&tty.line, &t);
	spin_unlock_irqrestore(&tty.lock, flags);
	wake_up(&tty.wq);
	return 0;
}

static long get_termios(unsigned long arg)
{
	unsigned long flags = spin_lock_irqsave(&tty.lock);
	struct termios t = tty.line.t;

	spin_unlock_irqrestore(&tty.lock, flags);
	return copy_to_user(arg, &t, sizeof(t)) ? -EFAULT : 0;
}

static long put_int(unsigned long arg, s32 v)
{
	return copy_to_user(arg, &v, sizeof(v)) ? -EFAULT : 0;
}

static long flow_control(unsigned long arg)
{
	unsigned long flags;

	if (arg > 3)
		return -EINVAL;
	if (arg < 2) { /* TCOOFF, TCOON; TCIOFF and TCION have nobody to send to */
		flags = spin_lock_irqsave(&tty.lock);
		tty.line.stopped = arg == 0;
		spin_unlock_irqrestore(&tty.lock, flags);
		wake_up(&tty.wq);
	}
	return 0;
}

static long flush_input(unsigned long arg)
{
	long err = tty_check_foreground(SIGTTOU);
	unsigned long flags;

	if (err || arg > 2)
		return err ? err : -EINVAL;
	if (arg != 1) { /* no output is ever queued */
		flags = spin_lock_irqsave(&tty.lock);
		ldisc_flush(&tty.line);
		spin_unlock_irqrestore(&tty.lock, flags);
	}
	return 0;
}

static long tty_ioctl(struct file *f, unsigned int cmd, unsigned long arg)
{
	struct winsize size;
	unsigned long flags;
	bool eof;
	u32 n;

	if (tty.input != INPUT_TTY && cmd != FIONREAD)
		return -ENOTTY;
	switch (cmd) {
	case TCGETS:
		return get_termios(arg);
	case TCSETS:
	case TCSETSW:
		return set_termios(arg, KEEP_INPUT);
	case TCSETSF:
		return set_termios(arg, DROP_INPUT);
	case TCSBRK:
	case TCSBRKP:
		return tty_check_foreground(
			SIGTTOU); /* output is always drained; a break has no line */
	case TCXONC:
		return flow_control(arg);
	case TCFLSH:
		return flush_input(arg);
	case TIOCSCTTY:
		return tty_set_controlling();
	case TIOCNOTTY:
		return tty_give_up();
	case TIOCGPGRP:
		return tty_is_mine() ? put_int(arg, tty_foreground()) : -ENOTTY;
	case TIOCSPGRP:
		return tty_set_foreground(arg);
	case TIOCGSID:
		return tty_is_mine() ? put_int(arg, tty_session()) : -ENOTTY;
	case TIOCOUTQ:
		return put_int(arg, 0);
	case FIONREAD:
		flags = spin_lock_irqsave(&tty.lock);
		n = ldisc_ready(&tty.line, &eof);
		spin_unlock_irqrestore(&tty.lock, flags);
		return put_int(arg, n);
	case TIOCGWINSZ:
		flags = spin_lock_irqsave(&tty.lock);
		size = tty.size;
		spin_unlock_irqrestore(&tty.lock, flags);
		return copy_to_user(arg, &size, sizeof(size)) ? -EFAULT : 0;
	case TIOCSWINSZ:
		if (copy_from_user(&size, arg, sizeof(size)))
			return -EFAULT;
		set_size(&size);
		return 0;
	}
	return -ENOTTY;
}

/* ---- nodes ------------------------------------------------------------------------------------ */

/* /dev/tty: the caller's terminal, if it has one. */
static int open_own(struct file *f, struct device_node *dev)
{
	return tty.input == INPUT_TTY && !tty_is_mine() ? -ENXIO : 0;
}

/* If the caller leads a session without a terminal, this becomes its terminal, unless O_NOCTTY is given. */
static int open_line(struct file *f, struct device_node *dev)
{
	struct process *me = current_process();

	if (tty.input == INPUT_TTY && me && me->sid == me->pid && !tty_session() &&
	    !(f->flags & O_NOCTTY))
		tty_set_controlling();
	return 0;
}

static const void *tty_async(struct file *f)
{
	return &tty;
}

static s32 tty_async_owner(struct file *f)
{
	return tty_foreground();
}

static const struct file_ops tty_ops = {
	.async_object = tty_async,
	.async_owner = tty_async_owner,
	.read = tty_read,
	.write = tty_write,
	.write_kernel = tty_write_kernel,
	.ioctl = tty_ioctl,
	.poll = tty_poll,
};

static struct device_node tty_devices[] = {
	{"console", S_IFCHR | 0600, MKDEV(5, 1), &tty_ops, NULL, NULL, {0}},
	{"tty", S_IFCHR | 0666, MKDEV(5, 0), &tty_ops, open_own, NULL, {0}},
	{NULL, S_IFCHR | 0660, 0, &tty_ops, open_line, NULL, {0}}, /* the port's */
};

#define PORT_NODE (ARRAY_SIZE(tty_devices) - 1)

u32 tty_number(void)
{
	return MKDEV(tty.port->major, tty.port->minor);
}

struct file *console_file(void)
{
	return file_alloc(&tty_ops, O_RDWR, NULL);
}

static const struct console_client client = {
	.room = tty_room,
	.receive = tty_receive,
	.line_break = tty_break,
	.resized = tty_resized,
};

void tty_init(void)
{
	const char *input = boot_info.console_input;

	tty.port = virtio_console_port();
	if (!tty.port)
		tty.port = &serial_port;
	tty_devices[PORT_NODE].name = tty.port->name;
	tty_devices[PORT_NODE].rdev = tty_number();
	ldisc_init(&tty.line, line_out, NULL);
	if (input && !strcmp(input, "tty"))
		tty.input = INPUT_TTY;
	else if (input && !strcmp(input, "stream"))
		tty.input = INPUT_STREAM;
	if (tty.input == INPUT_STREAM)
		tty.line.t.iflag = tty.line.t.oflag = tty.line.t.lflag = 0;
	if (tty.input != INPUT_NONE && tty.port->open(&client)) {
		printk("%s: no interrupt line, no input\n", tty.port->name);
		tty.input = INPUT_NONE;
	}
	if (tty.input == INPUT_TTY) {
		tty_resized();
		tty.port->start_receiving();
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(tty_devices); i++)
		register_device_node(&tty_devices[i]);
}
