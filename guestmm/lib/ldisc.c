/*
 * The line discipline.
 *
 *   keys ──> ldisc_key() ──┬─> signal (^C ^\ ^Z)          tail      canon      head
 *                          ├─> echo ──> out                 │ whole   │ being    │
 *                          └─> buf ─────────────────────────┴ lines ──┴ typed ───┘──> ldisc_read()
 *
 * Canonical: only what lies before `canon` can be read, line by line; what lies behind can be
 * edited. Raw: canon follows head. A line's end is marked in `mark`; one made by ^D is in `eof` too,
 * and its byte is dropped by who reads.
 *
 * When ICANON is switched off, what was being typed becomes readable; when it is switched on again,
 * what is readable is one line (as Linux's n_tty does).
 */
#include "lib/ldisc.h"
#include "lib/string.h"

#define SLOT(i) ((i) & (LDISC_SIZE - 1))

static bool test(const u64 *map, u32 i)
{
	return map[SLOT(i) / 64] >> (i % 64) & 1;
}

static void assign(u64 *map, u32 i, bool on)
{
	u64 bit = 1ull << (i % 64);

	map[SLOT(i) / 64] = (map[SLOT(i) / 64] & ~bit) | (on ? bit : 0);
}

void ldisc_init(struct ldisc *l, void (*out)(void *arg, const char *buf, size_t n), void *arg)
{
	static const u8 cc[NCCS] = {3, 28, 127, 21, 4, 0, 1, 0, 17, 19, 26, 0, 18, 15, 23, 22, 0};

	memset(l, 0, sizeof(*l));
	l->out = out;
	l->arg = arg;
	l->t.iflag = ICRNL | IXON;
	l->t.oflag = OPOST | ONLCR;
	l->t.cflag = B38400 | CS8 | CREAD | HUPCL | CLOCAL;
	l->t.lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN;
	memcpy(l->t.cc, cc, sizeof(cc));
}

void ldisc_set(struct ldisc *l, const struct termios *t)
{
	bool was = l->t.lflag & ICANON, is = t->lflag & ICANON;

	l->t = *t;
	if (was && !is) {
		l->canon = l->head;
	} else if (!was && is) {
		for (u32 i = l->tail; i != l->head; i++) {
			assign(l->mark, i, i + 1 == l->head);
			assign(l->eof, i, false);
		}
		l->canon = l->head;
		l->line_column = l->column;
	}
	l->lnext = false;
	if (!(t->iflag & IXON))
		l->stopped = false;
}

void ldisc_flush(struct ldisc *l)
{
	l->tail = l->canon = l->head;
	l->lnext = false;
}

/* ---- output ----------------------------------------------------------------------------------- */

/* One byte of output as it goes to the screen, at most 8. */
static u32 process(struct ldisc *l, u8 c, char *to)
{
	u32 o = l->t.oflag, n;

	if (!(o & OPOST)) {
		to[0] = c;
		return 1;
	}
	switch (c) {
	case '\n':
		if (o & (ONLCR | ONLRET))
			l->column = 0;
		if (!(o & ONLCR))
			break;
		to[0] = '\r';
		to[1] = '\n';
		return 2;
	case '\r':
		if (o & ONOCR && !l->column)
			return 0;
		l->column = 0;
		if (!(o & OCRNL))
			break;
		to[0] = '\n';
		return 1;
	case '\t':
		n = 8 - (l->column & 7);
		l->column += n;
		if ((o & XTABS) != XTABS)
			break;
		memset(to, ' ', n);
		return n;
	case '\b':
		l->column -= l->column > 0;
		break;
	default:
		/* Of a character in UTF-8 only the first byte takes a column. */
		if (c >= ' ' && c != 127 && !(l->t.iflag & IUTF8 && (c & 0xc0) == 0x80))
			l->column++;
	}
	to[0] = c;
	return 1;
}

void ldisc_write(struct ldisc *l, const char *buf, size_t n)
{
	char chunk[128];
	u32 len = 0;

	for (size_t i = 0; i < n; i++) {
		len += process(l, buf[i], chunk + len);
		if (len > sizeof(chunk) - 8) {
			l->out(l->arg, chunk, len);
			len = 0;
		}
	}
	if (len)
		l->out(l->arg, chunk, len);
}

/* ---- echo ------------------------------------------------------------------------------------- */

/* Is it shown as ^X? */
static bool is_caret(const struct ldisc *l, u8 c)
{
	return l->t.lflag & ECHOCTL && (c < ' ' || c == 127) && c != '\t' && c != '\n';
}

static void echo(struct ldisc *l, u8 c)
{
	char caret[2] = {'^', c ^ 0x40};

	if (!(l->t.lflag & ECHO)) {
		if (c == '\n' && l->t.lflag & ECHONL && l->t.lflag & ICANON)
			ldisc_write(l, "\n", 1);
		return;
	}
	if (is_caret(l, c))
		ldisc_write(l, caret, 2);
	else
		ldisc_write(l, (const char *)&c, 1);
}

/* ---- editing: what lies between canon and head ------------------------------------------------ */

static bool is_continuation(const struct ldisc *l, u8 c)
{
	return l->t.iflag & IUTF8 && (c & 0xc0) == 0x80;
}

/* Columns the line being typed takes up to byte `end`. */
static u32 width(const struct ldisc *l, u32 end)
{
	u32 col = l->line_column;

	for (u32 i = l->canon; i != end; i++) {
		u8 c = l->buf[SLOT(i)];

		if (c == '\t')
			col += 8 - (col & 7);
		else if (is_caret(l, c))
			col += 2;
		else if (c >= ' ' && !is_continuation(l, c))
			col++;
	}
	return col - l->line_column;
}

/* Take the last character back, and from the screen. */
static void erase_char(struct ldisc *l)
{
	u32 before = width(l, l->head), columns;
	u8 c;

	do {
		c = l->buf[SLOT(--l->head)];
	} while (is_continuation(l, c) && l->head != l->canon);
	if (!(l->t.lflag & ECHO))
		return;
	if (!(l->t.lflag & ECHOE)) {
		echo(l, l->t.cc[VERASE]);
		return;
	}
	columns = before - width(l, l->head);
	for (u32 i = 0; i < columns; i++)
		ldisc_write(l, c == '\t' ? "\b" : "\b \b", c == '\t' ? 1 : 3);
}

static bool is_word(u8 c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	       c == '_' || c >= 0x80;
}

static void erase_word(struct ldisc *l)
{
	while (l->head != l->canon && !is_word(l->buf[SLOT(l->head - 1)]))
		erase_char(l);
	while (l->head != l->canon && is_word(l->buf[SLOT(l->head - 1)]))
		erase_char(l);
}

static void erase_line(struct ldisc *l)
{
	u32 all = ECHO | ECHOE | ECHOKE;

	if ((l->t.lflag & all) == all) {
		while (l->head != l->canon)
			erase_char(l);
		return;
	}
	l->head = l->canon;
	if (!(l->t.lflag & ECHO))
		return;
	echo(l, l->t.cc[VKILL]);
	if (l->t.lflag & ECHOK)
		ldisc_write(l, "\n", 1);
}

static void reprint(struct ldisc *l)
{
	echo(l, l->t.cc[VREPRINT]);
	ldisc_write(l, "\n", 1);
	l->line_column = l->column;
	for (u32 i = l->canon; i != l->head; i++)
		echo(l, l->buf[SLOT(i)]);
}

/* ---- keys ------------------------------------------------------------------------------------- */

/* What a byte is to a reader by lines. The end of the file ends a line, too, and is not read. */
enum stored { PART_OF_LINE, ENDS_LINE, ENDS_FILE };

/* One slot is kept for the byte that ends a line. */
static void store(struct ldisc *l, u8 c, enum stored what)
{
	bool ends = what != PART_OF_LINE;
	u32 used = l->head - l->tail;

	if (used >= LDISC_SIZE - (l->t.lflag & ICANON && !ends ? 1 : 0))
		return;
	l->buf[SLOT(l->head)] = c;
	assign(l->mark, l->head, ends);
	assign(l->eof, l->head, what == ENDS_FILE);
	l->head++;
	if (ends || !(l->t.lflag & ICANON)) {
		l->canon = l->head;
		l->line_column = l->column;
	}
}

/* A control character that is set, not switched off by 0. */
static bool is_cc(const struct ldisc *l, u8 c, unsigned int which)
{
	return l->t.cc[which] && c == l->t.cc[which];
}

static int signal_key(struct ldisc *l, u8 c)
{
	int sig = is_cc(l, c, VINTR) ? 2 : is_cc(l, c, VQUIT) ? 3 : is_cc(l, c, VSUSP) ? 20 : 0;

	if (!sig)
		return 0;
	if (!(l->t.lflag & NOFLSH))
		ldisc_flush(l);
	l->stopped = false;
	echo(l, c);
	l->line_column = l->column;
	return sig;
}

/* Keys that edit the line. True: this was one. */
static bool edit_key(struct ldisc *l, u8 c)
{
	bool extended = l->t.lflag & IEXTEN;

	if (is_cc(l, c, VERASE)) {
		if (l->head != l->canon)
			erase_char(l);
	} else if (extended && is_cc(l, c, VWERASE)) {
		erase_word(l);
	} else if (is_cc(l, c, VKILL)) {
		erase_line(l);
	} else if (extended && is_cc(l, c, VLNEXT)) {
		l->lnext = true;
		if (l->t.lflag & ECHO && l->t.lflag & ECHOCTL)
			ldisc_write(l, "^\b", 2);
	} else if (extended && is_cc(l, c, VREPRINT) && l->t.lflag & ECHO) {
		reprint(l);
	} else if (is_cc(l, c, VEOF)) {
		store(l, 0, ENDS_FILE);
	} else {
		return false;
	}
	return true;
}

int ldisc_key(struct ldisc *l, u8 c)
{
	u32 in = l->t.iflag;
	int sig;

	if (l->head == l->canon)
		l->line_column = l->column;
	if (l->lnext) {
		l->lnext = false;
		echo(l, c);
		store(l, c, PART_OF_LINE);
		return 0;
	}
	if (in & ISTRIP)
		c &= 0x7f;
	if (in & IXON) {
		if (is_cc(l, c, VSTOP) || is_cc(l, c, VSTART)) {
			l->stopped = is_cc(l, c, VSTOP) && !is_cc(l, c, VSTART);
			return 0;
		}
		if (l->stopped && in & IXANY)
			l->stopped = false;
	}
	if (l->t.lflag & ISIG) {
		sig = signal_key(l, c);
		if (sig)
			return sig;
	}
	if (c == '\r') {
		if (in & IGNCR)
			return 0;
		if (in & ICRNL)
			c = '\n';
	} else if (c == '\n' && in & INLCR) {
		c = '\r';
	}
	if (!(l->t.lflag & ICANON)) {
		echo(l, c);
		store(l, c, PART_OF_LINE);
		return 0;
	}
	if (edit_key(l, c))
		return 0;
	echo(l, c);
	if (c == '\n' || is_cc(l, c, VEOL) || (l->t.lflag & IEXTEN && is_cc(l, c, VEOL2)))
		store(l, c, ENDS_LINE);
	else
		store(l, c, PART_OF_LINE);
	return 0;
}

u32 ldisc_room(const struct ldisc *l)
{
	if (l->t.lflag & ICANON && l->canon == l->tail)
		return LDISC_SIZE;
	return LDISC_SIZE - (l->head - l->tail);
}

/* ---- reading ---------------------------------------------------------------------------------- */

u32 ldisc_ready(const struct ldisc *l, bool *eof)
{
	u32 n = 0;

	*eof = l->t.lflag & ICANON && l->tail != l->canon && test(l->eof, l->tail);
	if (!(l->t.lflag & ICANON))
		return l->canon - l->tail;
	for (u32 i = l->tail; i != l->canon; i++) {
		n += !test(l->eof, i);
		if (test(l->mark, i))
			break;
	}
	return n;
}

u32 ldisc_read(struct ldisc *l, u8 *to, u32 n, bool *ended)
{
	bool canonical = l->t.lflag & ICANON;
	u32 done = 0;

	*ended = false;
	while (l->tail != l->canon && !*ended) {
		u32 i = l->tail;
		bool no_byte = test(l->eof, i);

		if (!no_byte && done == n)
			break;
		if (!no_byte)
			to[done++] = l->buf[SLOT(i)];
		l->tail++;
		*ended = canonical && test(l->mark, i);
	}
	return done;
}
