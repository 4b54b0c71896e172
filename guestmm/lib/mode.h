/* The mode of a file: its type, and what its permission bits mean beyond rwx (inode(7)). */
#ifndef LIB_MODE_H
#define LIB_MODE_H

#define S_IFMT	   0170000u
#define S_IFSOCK   0140000u
#define S_IFLNK	   0120000u
#define S_IFREG	   0100000u
#define S_IFBLK	   0060000u
#define S_IFDIR	   0040000u
#define S_IFCHR	   0020000u
#define S_IFIFO	   0010000u
#define S_ISUID	   0004000u
#define S_ISGID	   0002000u
#define S_ISVTX	   0001000u
#define S_ISREG(m) (((m)&S_IFMT) == S_IFREG)
#define S_ISDIR(m) (((m)&S_IFMT) == S_IFDIR)
#define S_ISLNK(m) (((m)&S_IFMT) == S_IFLNK)
#endif
