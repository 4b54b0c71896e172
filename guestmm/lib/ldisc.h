/*
 * The line discipline of a terminal: between the keys and read(2), and between write(2) and the
 * screen, as termios(3) has it. Pure: no locks, no sleeping; the caller (fs/tty.c) has both.
 *
 * Not there: parity marks (PARMRK), modem control, delays, the upper-case terminals (IUCLC, OLCUC).
 */
#ifndef LIB_LDISC_H
#define LIB_LDISC_H
#include "lib/types.h"

/* Linux's numbers (asm-generic/termbits.h). */
#define NCCS	 19
#define VINTR	 0
#define VQUIT	 1
#define VERASE	 2
#define VKILL	 3
#define VEOF	 4
#define VTIME	 5
#define VMIN	 6
#define VSTART	 8
#define VSTOP	 9
#define VSUSP	 10
#define VEOL	 11
#define VREPRINT 12
#define VWERASE	 14
#define VLNEXT	 15
#define VEOL2	 16
#define ISTRIP	 0000040u
#define INLCR	 0000100u
#define IGNCR	 0000200u
#define ICRNL	 0000400u
#define IXON	 0002000u
#define IXANY	 0004000u
#define IUTF8	 0040000u
#define OPOST	 0000001u
#define ONLCR	 0000004u
#define OCRNL	 0000010u
#define ONOCR	 0000020u
#define ONLRET	 0000040u
#define XTABS	 0014000u
#define B38400	 0000017u
#define CS8	 0000060u
#define CREAD	 0000200u
#define HUPCL	 0002000u
#define CLOCAL	 0004000u
#define ISIG	 0000001u
#define ICANON	 0000002u
#define ECHO	 0000010u
#define ECHOE	 0000020u
#define ECHOK	 0000040u
#define ECHONL	 0000100u
#define NOFLSH	 0000200u
#define TOSTOP	 0000400u
#define ECHOCTL	 0001000u
#define ECHOKE	 0004000u
#define IEXTEN	 0100000u

/** As TCGETS passes it. */
struct termios {
	u32 iflag, oflag, cflag, lflag;
	u8 line, cc[NCCS];
};
_Static_assert(sizeof(struct termios) == 36, "Linux's ABI");

#define LDISC_SIZE 4096u /* bytes of input kept; a power of two */

struct ldisc {
	struct termios t;
	/** What is echoed and written, processed. */
	void (*out)(void *arg, const char *buf, size_t n);
	void *arg;
	u8 buf[LDISC_SIZE];
	u64 mark[LDISC_SIZE / 64]; /* this byte ends a line... */
	u64 eof[LDISC_SIZE / 64];  /* ...and is not part of it */
	u32 tail, canon, head;	   /* free-running: read up to; lines end at; typed up to */
	u32 column;		   /* of the screen, for tabs */
	u32 line_column;	   /* where the line being typed began */
	bool lnext;		   /* the next key is a byte */
	bool stopped;		   /* ^S */
};

void ldisc_init(struct ldisc *l, void (*out)(void *arg, const char *buf, size_t n), void *arg);
/** Settings change; what was typed stays readable. */
void ldisc_set(struct ldisc *l, const struct termios *t);
/** A key. Returns the number of the signal it means for the foreground, or 0. */
int ldisc_key(struct ldisc *l, u8 c);
/** Keys there is room for. In canonical mode without a whole line there always is room: what is too long
 * for a line is lost. */
u32 ldisc_room(const struct ldisc *l);
/** Bytes that read(2) would get now at most; *eof: the next line is an empty one that means the end. */
u32 ldisc_ready(const struct ldisc *l, bool *eof);
/** Up to n bytes, of one line in canonical mode; *ended: that line is read to its end. 0 with *ended:
 * the end of the file. */
u32 ldisc_read(struct ldisc *l, u8 *to, u32 n, bool *ended);
/** Forget what was typed. */
void ldisc_flush(struct ldisc *l);
/** What a program writes. */
void ldisc_write(struct ldisc *l, const char *buf, size_t n);
#endif
