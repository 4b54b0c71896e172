/*
 * Finding the program to run, and scripts.
 *
 *   "#!/bin/sh -e\n..." run as  script a b   becomes   /bin/sh -e script a b
 *
 * A script's interpreter may be a script. More than five in a chain are -ELOOP, as in Linux.
 */
#include "fs/exec/program.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/kvirt/vmalloc.h"

#define MAX_SCRIPTS 5

static int open_file(const char *path, struct file **file)
{
	int err = vfs_open_exec(path, file);

	if (err)
		return err;
	if ((*file)->mapping && !path_noexec(&(*file)->path))
		return 0;
	file_put(*file);
	return -EACCES;
}

int program_read(const struct program *prog, void *buf, size_t len, u64 pos)
{
	long n = kernel_file_read(prog->file->mapping, buf, len, pos);

	if (n < 0)
		return n;
	return (size_t)n == len ? 0 : -ENOEXEC;
}

/* Append a string. The caller has made sure that there is room. */
static void append(struct exec_args *args, char *buf, const char *s)
{
	size_t len = strlen(s) + 1;

	memcpy(buf + args->len, s, len);
	args->len += len;
}

/* Find the interpreter and its one argument ("": none) in the first line. Both are terminated in place, in prog->head.
 * Returns 0 or -ENOEXEC. */
static int parse_line(struct program *prog, char **interpreter, char **arg)
{
	char *p = prog->head + 2, *end = prog->head + prog->head_len, *eol;

	for (eol = p; eol < end && *eol != '\n' && *eol; eol++)
		;
	if (eol == prog->head + PROGRAM_HEAD)
		eol--; /* as Linux: a longer line is cut, if the interpreter's name is whole */
	if (eol == end && prog->head_len < PROGRAM_HEAD)
		end[0] = '\0';
	*eol = '\0';
	while (eol > p && (eol[-1] == ' ' || eol[-1] == '\t'))
		*--eol = '\0';
	while (*p == ' ' || *p == '\t')
		p++;
	if (!*p)
		return -ENOEXEC;
	*interpreter = p;
	while (*p && *p != ' ' && *p != '\t')
		p++;
	if (*p) {
		*p++ = '\0';
		while (*p == ' ' || *p == '\t')
			p++;
	}
	*arg = p;
	return 0;
}

/* Create the arguments of the interpreter. `script`: the path of the script. */
static int script_args(struct program *prog, const char *interpreter, const char *arg,
		       const char *script)
{
	const struct exec_args *old = &prog->args;
	struct exec_args args = {.path = old->path, .argc = 2, .envc = old->envc};
	u32 skip = old->argc ? strlen(old->strings) + 1 : 0;
	char *buf = vmalloc(old->len + strlen(interpreter) + strlen(arg) + strlen(script) + 3);

	if (!buf)
		return -ENOMEM;
	append(&args, buf, interpreter);
	if (*arg) {
		append(&args, buf, arg);
		args.argc++;
	}
	append(&args, buf, script);
	args.argc += old->argc ? old->argc - 1 : 0;
	memcpy(buf + args.len, old->strings + skip, old->len - skip);
	args.len += old->len - skip;
	args.strings = buf;
	vfree(prog->buf);
	prog->buf = buf;
	prog->args = args;
	return 0;
}

static int read_head(struct program *prog)
{
	long n;

	memset(prog->head, 0, sizeof(prog->head));
	n = kernel_file_read(prog->file->mapping, prog->head, sizeof(prog->head), 0);
	if (n < 0)
		return n;
	prog->head_len = n;
	return 0;
}

static bool is_script(const struct program *prog)
{
	return prog->head_len >= 2 && prog->head[0] == '#' && prog->head[1] == '!';
}

int program_open(struct program *prog, const struct exec_args *args)
{
	char name[PROGRAM_HEAD], *interpreter, *arg;
	int err, scripts = 0;

	prog->args = *args;
	prog->buf = NULL;
	err = open_file(args->path, &prog->file);
	if (err)
		return err;
	strscpy(name, args->path, sizeof(name));
	while (!(err = read_head(prog)) && is_script(prog)) {
		struct file *next;

		err = ++scripts > MAX_SCRIPTS ? -ELOOP : parse_line(prog, &interpreter, &arg);
		if (!err)
			err = script_args(prog, interpreter, arg, scripts == 1 ? args->path : name);
		if (err)
			break;
		strscpy(name, interpreter, sizeof(name));
		err = open_file(name, &next);
		if (err)
			break;
		file_put(prog->file);
		prog->file = next;
	}
	if (err)
		program_close(prog);
	return err;
}

int program_open_plain(struct program *prog, const char *path)
{
	int err;

	prog->args = (struct exec_args){.path = path};
	prog->buf = NULL;
	err = open_file(path, &prog->file);
	if (err)
		return err;
	err = read_head(prog);
	if (err)
		program_close(prog);
	return err;
}

void program_close(struct program *prog)
{
	if (prog->file)
		file_put(prog->file);
	vfree(prog->buf);
}
