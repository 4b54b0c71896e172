/*
 * The line discipline: keys go in; what is read, what is echoed and which signals are sent is compared.
 * Expected values are those of Linux's n_tty for the same keys on a pseudo-terminal.
 */
#include "unit.h"
#include <string.h>
#include "lib/ldisc.h"

static struct ldisc line;
static char shown[8192], got[8192];
static size_t nr_shown;

static void show(void *arg, const char *buf, size_t n)
{
	(void)arg;
	if (n > sizeof(shown) - 1 - nr_shown)
		n = sizeof(shown) - 1 - nr_shown;
	memcpy(shown + nr_shown, buf, n);
	nr_shown += n;
	shown[nr_shown] = 0;
}

static void start(void)
{
	ldisc_init(&line, show, NULL);
	nr_shown = 0;
	shown[0] = 0;
}

/* Types them; the last signal one of them meant. */
static int type(const char *keys)
{
	int sig = 0, s;

	for (; *keys; keys++) {
		s = ldisc_key(&line, (u8)*keys);
		sig = s ? s : sig;
	}
	return sig;
}

static const char *take(u32 n, bool *ended)
{
	u32 len = ldisc_read(&line, (u8 *)got, n, ended);

	got[len] = 0;
	return got;
}

static void lines_are_read_whole(void)
{
	bool ended, eof;

	start();
	type("one\rtwo");
	CU_ASSERT_EQUAL(ldisc_ready(&line, &eof), 4);
	CU_ASSERT_STRING_EQUAL(take(100, &ended), "one\n");
	CU_ASSERT_TRUE(ended);
	CU_ASSERT_EQUAL(ldisc_ready(&line, &eof), 0);
	type("\n");
	CU_ASSERT_STRING_EQUAL(take(2, &ended), "tw");
	CU_ASSERT_FALSE(ended);
	CU_ASSERT_STRING_EQUAL(take(100, &ended), "o\n");
	CU_ASSERT_STRING_EQUAL(shown, "one\r\ntwo\r\n");
}

static void editing(void)
{
	bool ended;

	start();
	type("ab\x7f"
	     "c\r");
	CU_ASSERT_STRING_EQUAL(take(100, &ended), "ac\n");
	CU_ASSERT_STRING_EQUAL(shown, "ab\b \bc\r\n");
	start();
	type("one two  \x17x\r");
	CU_ASSERT_STRING_EQUAL(take(100, &ended), "one x\n");
	start();
	type("gone\x15here\r");
	CU_ASSERT_STRING_EQUAL(take(100, &ended), "here\n");
	CU_ASSERT_STRING_EQUAL(shown, "gone\b \b\b \b\b \b\b \bhere\r\n");
	start();
	type("a\x16\x03"
	     "b\r"); /* ^V ^C: a byte, not a signal */
	CU_ASSERT_STRING_EQUAL(take(100, &ended), "a\3b\n");
	CU_ASSERT_STRING_EQUAL(shown, "a^\b^Cb\r\n");
	start();
	type("\x01\x7fz\r"); /* ^A takes two columns */
	CU_ASSERT_STRING_EQUAL(shown, "^A\b \b\b \bz\r\n");
	start();
	line.t.iflag |= IUTF8;
	type("x\xc3\xa4\x7f\r");
	CU_ASSERT_STRING_EQUAL(take(100, &ended), "x\n");
	CU_ASSERT_STRING_EQUAL(shown, "x\xc3\xa4\b \b\r\n");
	start();
	type("\x7f\x7f\r"); /* nothing to take back: not of the line before */
	CU_ASSERT_STRING_EQUAL(shown, "\r\n");
}

static void end_of_file(void)
{
	bool ended, eof;

	start();
	type("\x04");
	CU_ASSERT_EQUAL(ldisc_ready(&line, &eof), 0);
	CU_ASSERT_TRUE(eof);
	CU_ASSERT_STRING_EQUAL(take(100, &ended), "");
	CU_ASSERT_TRUE(ended);
	/* In the middle of a line it hands out what there is; the next read is not an end. */
	type("ab\x04"
	     "c\r");
	CU_ASSERT_STRING_EQUAL(take(2, &ended), "ab");
	CU_ASSERT_TRUE(ended);
	CU_ASSERT_STRING_EQUAL(take(100, &ended), "c\n");
}

static void signals(void)
{
	bool ended;

	start();
	CU_ASSERT_EQUAL(type("lost\x03"), 2);
	CU_ASSERT_EQUAL(type("\x1c"), 3);
	CU_ASSERT_EQUAL(type("\x1a"), 20);
	CU_ASSERT_STRING_EQUAL(shown, "lost^C^\\^Z");
	type("k\r");
	CU_ASSERT_STRING_EQUAL(take(100, &ended), "k\n");
	line.t.lflag &= ~ISIG;
	CU_ASSERT_EQUAL(type("\x03"), 0);
}

static void raw(void)
{
	struct termios t;
	bool ended, eof;

	start();
	t = line.t;
	type("typed");
	t.lflag &= ~(ICANON | ECHO | ISIG);
	t.iflag = 0;
	ldisc_set(&line, &t); /* what was being typed can be read now */
	CU_ASSERT_EQUAL(ldisc_ready(&line, &eof), 5);
	CU_ASSERT_EQUAL(type("\r\x03\x7f"), 0);
	CU_ASSERT_STRING_EQUAL(take(100, &ended), "typed\r\3\x7f");
	CU_ASSERT_STRING_EQUAL(shown, "typed");
	type("rest");
	t.lflag |= ICANON;
	ldisc_set(&line, &t);
	CU_ASSERT_STRING_EQUAL(take(100, &ended), "rest");
}

static void long_lines_end(void)
{
	bool ended, eof;
	u32 n = 0;

	start();
	for (unsigned int i = 0; i < 2 * LDISC_SIZE; i++)
		ldisc_key(&line, 'x');
	CU_ASSERT_TRUE(ldisc_room(&line) > 0);
	type("\r");
	CU_ASSERT_EQUAL(ldisc_ready(&line, &eof), LDISC_SIZE);
	n = (u32)strlen(take(LDISC_SIZE, &ended));
	CU_ASSERT_EQUAL(n, LDISC_SIZE);
	CU_ASSERT_EQUAL(got[n - 1], '\n');
}

static void output(void)
{
	start();
	ldisc_write(&line, "a\tb\n", 4);
	CU_ASSERT_STRING_EQUAL(shown, "a\tb\r\n");
	start();
	line.t.oflag |= XTABS;
	ldisc_write(&line, "abc\td", 5);
	CU_ASSERT_STRING_EQUAL(shown, "abc     d");
	start();
	line.t.oflag = 0;
	ldisc_write(&line, "a\n", 2);
	CU_ASSERT_STRING_EQUAL(shown, "a\n");
	start();
	type("\x13"); /* ^S */
	CU_ASSERT_TRUE(line.stopped);
	type("\x11");
	CU_ASSERT_FALSE(line.stopped);
}

/* Any keys under any settings: nothing leaves the buffer's bounds, and what is read was typed. */
static void any_keys(void)
{
	unsigned int seed = 1;
	bool ended, eof;
	u64 typed = 0, read = 0;

	start();
	for (unsigned int i = 0; i < 300000; i++) {
		unsigned int r = seed = seed * 1103515245 + 12345;

		if (!(r >> 16 & 1023)) {
			struct termios t = line.t;

			t.lflag ^= 1u << (r >> 8 & 15);
			t.iflag ^= 1u << (r >> 4 & 15);
			ldisc_set(&line, &t);
		}
		if (r >> 26 == 3)
			read += ldisc_read(&line, (u8 *)got, r & 63, &ended);
		if (ldisc_room(&line)) {
			ldisc_key(&line, (u8)(r >> 16));
			typed++;
		}
		nr_shown = 0;
		CU_ASSERT_FATAL(line.head - line.tail <= LDISC_SIZE);
		CU_ASSERT_FATAL(line.canon - line.tail <= line.head - line.tail);
		CU_ASSERT_FATAL(ldisc_ready(&line, &eof) <= LDISC_SIZE);
	}
	CU_ASSERT_TRUE(read > 0 && read <= typed);
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"lines are read whole", lines_are_read_whole},
		{"editing", editing},
		{"end of file", end_of_file},
		{"signals", signals},
		{"raw", raw},
		{"long lines end", long_lines_end},
		{"output", output},
		{"any keys", any_keys},
	};
	return unit_run("ldisc", cases, sizeof(cases) / sizeof(cases[0]));
}
