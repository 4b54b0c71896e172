/* The program that execve(2) is to run: a file, and the arguments it gets. */
#ifndef FS_PROGRAM_H
#define FS_PROGRAM_H
#include "fs/file.h"
#include "kernel/process.h"

#define PROGRAM_HEAD \
	512 /* bytes: an ELF header with ten program headers, or a script's first line */

struct program {
	struct file *file;     /* with a reference */
	struct exec_args args; /* a script's differ from what execve() was given */
	char *buf;	       /* the arguments' memory, or NULL: the caller's */
	size_t head_len;       /* bytes of `head`: all of a shorter file */
	char head[PROGRAM_HEAD];
};
/** Open `args->path`; a script's interpreter instead, with the script among its arguments. 0 or -errno: -EACCES: it
 * is not a program; -ELOOP: too many interpreters that are scripts themselves. */
int program_open(struct program *prog, const struct exec_args *args);
/** Open a file that is run as it is: an interpreter. As program_open(). */
int program_open_plain(struct program *prog, const char *path);
void program_close(struct program *prog);
/** Bytes of the program into kernel memory. 0, or -ENOEXEC: the program is shorter. */
int program_read(const struct program *prog, void *buf, size_t len, u64 pos);
#endif
