/*
 * Names of core files: /proc/sys/kernel/core_pattern, as in core(5).
 *
 * A pattern that names a pipe ("|program") is refused. The parts that a process chose itself (its name, its program's
 * path) cannot lead to another directory: '/' becomes '!', and so do "." and "..".
 *
 * Locks: pattern_lock for the pattern.
 */
#include "fs/exec/coredump.h"
#include "fs/file.h"
#include "kernel/cred.h"
#include "kernel/version.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/slab/slab.h"
#include "mm/virt/mm.h"

static spinlock_t pattern_lock = SPINLOCK_INIT;
static char core_pattern[CORENAME_MAX] = "core";
int sysctl_core_uses_pid;

void core_pattern_get(char pattern[CORENAME_MAX])
{
	spin_lock(&pattern_lock);
	memcpy(pattern, core_pattern, CORENAME_MAX);
	spin_unlock(&pattern_lock);
}

int core_pattern_set(const char *pattern)
{
	if (pattern[0] == '|')
		return -EINVAL;
	spin_lock(&pattern_lock);
	strscpy(core_pattern, pattern, CORENAME_MAX);
	spin_unlock(&pattern_lock);
	return 0;
}

struct name {
	char *buf;
	size_t len, size;
	bool full;
};

static void put_text(struct name *n, const char *text)
{
	size_t len = strlen(text);

	if (len >= n->size - n->len) {
		n->full = true;
		return;
	}
	memcpy(n->buf + n->len, text, len + 1);
	n->len += len;
}

static void put_number(struct name *n, u64 number)
{
	char text[24];

	ksnprintf(text, sizeof(text), "%lu", (unsigned long)number);
	put_text(n, text);
}

/* Add a text as a single component of the path. */
static void put_part(struct name *n, const char *text)
{
	size_t from = n->len;

	put_text(n, text[0] ? text : "!");
	if (!strcmp(n->buf + from, ".") || !strcmp(n->buf + from, ".."))
		n->buf[from] = '!';
	for (; from < n->len; from++) {
		if (n->buf[from] == '/')
			n->buf[from] = '!';
	}
}

/* Add the program's path, or its last component. */
static void put_program(struct name *n, bool last_part)
{
	struct file *exe = current->mm->exe_file;
	char *page = kmalloc(PAGE_SIZE, GFP_KERNEL);
	const char *path = page && exe ? file_name(exe, page, PAGE_SIZE) : "";
	const char *part = path;

	if (!path[0]) {
		put_part(n, current->comm);
		put_text(n, last_part ? "" : " (path unknown)");
	} else {
		for (; last_part && *path; path++) {
			if (*path == '/')
				part = path + 1;
		}
		put_part(n, part);
	}
	kfree(page);
}

/* Add what the letter after a '%' stands for; an unknown letter adds nothing. True: it was the process's number. */
static bool put_item(struct name *n, char letter, const struct core_dump *core)
{
	const struct cred *cred = current_cred();

	switch (letter) {
	case '%':
		put_text(n, "%");
		break;
	case 'p':
	case 'P':
		put_number(n, (u64)current_process()->pid);
		return letter == 'p';
	case 'i':
	case 'I':
		put_number(n, (u64)current->pid);
		break;
	case 'u':
		put_number(n, cred->uid);
		break;
	case 'g':
		put_number(n, cred->gid);
		break;
	case 'd':
		put_number(n, current->mm->dumpable);
		break;
	case 's':
		put_number(n, (u64)core->sig);
		break;
	case 't':
		put_number(n, (u64)current_time().sec);
		break;
	case 'h':
		put_part(n, GUESTMM_HOST);
		break;
	case 'e':
		put_part(n, current->comm);
		break;
	case 'f':
	case 'E':
		put_program(n, letter == 'f');
		break;
	case 'c':
		put_number(n, rlimit(RLIMIT_CORE));
		break;
	case 'C':
		put_number(n, current_thread_info()->cpu);
		break;
	}
	return false;
}

int core_name(char *out, size_t size, const char *pattern, const struct core_dump *core)
{
	struct name n = {.buf = out, .size = size};
	bool has_pid = false;

	out[0] = 0;
	for (; *pattern; pattern++) {
		if (*pattern != '%') {
			put_text(&n, (char[]){*pattern, 0});
		} else {
			if (!*++pattern)
				break; /* a single '%' at the end is ignored */
			has_pid |= put_item(&n, *pattern, core);
		}
	}
	if (!has_pid && READ_ONCE(sysctl_core_uses_pid)) {
		put_text(&n, ".");
		put_number(&n, (u64)current_process()->pid);
	}
	return n.full ? -ENAMETOOLONG : 0;
}
