/* The program that execve(2) is to run: its file and arguments. */
#ifndef FS_PROGRAM_H
#define FS_PROGRAM_H
#include "fs/file.h"
#include "kernel/process.h"

#define PROGRAM_HEAD \
	512 /* bytes: an ELF header with ten program headers, or a script's first line */

struct program {
	struct file *file;     /* with a reference */
	struct exec_args args; /* for a script, not the same as those of execve() */
	char *buf;	       /* the arguments' memory, or NULL: the caller's */
	size_t head_len;       /* bytes in `head`: fewer if the file is shorter */
	char head[PROGRAM_HEAD];
};
/** Open `args->path`. If it is a script, open its interpreter instead, and add the script to the arguments. 0 or
 * -errno; -EACCES: it is not a program; -ELOOP: too many interpreters are scripts themselves. */
int program_open(struct program *prog, const struct exec_args *args);
/** Open a program that may not be a script, such as the dynamic linker. Errors as of program_open(). */
int program_open_plain(struct program *prog, const char *path);
void program_close(struct program *prog);
/** Read a part of the program into kernel memory. 0, or -ENOEXEC: the program is shorter. */
int program_read(const struct program *prog, void *buf, size_t len, u64 pos);
#endif
