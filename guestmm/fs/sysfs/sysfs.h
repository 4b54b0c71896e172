/*
 * The inside of /sys: tables of paths, each with a function that writes its text and one that stores a
 * written text. A new subject is a new file with a table, and one line in sysfs_init().
 */
#ifndef FS_SYSFS_H
#define FS_SYSFS_H
#include "fs/vfs.h"

struct sysfs_entry {
	const char *path; /* below /sys: "kernel/mm/ksm/run"; its directories are made with it */
	u32 mode;	  /* permission bits: 0644, 0444, 0200 */
	/** Write the text to r. 0 or -errno. May sleep. NULL: the file cannot be read. */
	int (*show)(struct report *r, u64 arg);
	/** Store a written text. `text` ends with NUL, without a newline at its end. 0 or -errno. May sleep. NULL:
	 * the file cannot be written. */
	int (*store)(const char *text, u64 arg);
	u64 arg; /* for both functions */
};

/** Add the files of a table, which must stay valid for ever. 0, -EEXIST, or -ENOMEM; on an error the files before it
 * in the table exist. May sleep. */
int sysfs_register(const struct sysfs_entry *entries, u32 nr);
/** Create an empty directory as a mount point. The path is not copied and must stay valid for ever. 0, -EEXIST (a
 * file has the name), -ENOMEM. May sleep. */
int sysfs_make_dir(const char *path);
/** Mount it on /sys, with all tables. */
void sysfs_init(void);

/** Parse a text that is a decimal or, with 0x, hexadecimal number. 0 or -EINVAL. */
int sysfs_parse_u64(const char *text, u64 *out);
/** A file with a number that can be written. SYSFS_NUMBER() is its entry in a table. */
struct sysfs_number {
	u64 *value;
	u64 least, most;       /* anything else is -EINVAL */
	int (*set)(u64 n);     /* 0 or -errno. NULL: the number is stored */
	void (*changed)(void); /* called after a change; or NULL */
};
int sysfs_show_number(struct report *r, u64 number);
int sysfs_store_number(const char *text, u64 number);
/** For entries whose `arg` is the address of a u64, such as a count. */
int sysfs_show_u64(struct report *r, u64 arg);
#define SYSFS_NUMBER(path, ...)                                    \
	{                                                          \
		path, 0644, sysfs_show_number, sysfs_store_number, \
			(u64) & (const struct sysfs_number)        \
		{                                                  \
			__VA_ARGS__                                \
		}                                                  \
	}

/** Write "a [b] c": the choices, with the current one in brackets. */
void sysfs_show_choice(struct report *r, const char *const *choices, u32 nr, u32 now);
/** The index of the word `text`, or -EINVAL. */
int sysfs_parse_choice(const char *text, const char *const *choices, u32 nr);

/** Write the numbers of a set's bits as a list: "0-1,3\n". */
void sysfs_show_list(struct report *r, u32 set);

/* Tables */
int sysfs_hugepages_register(void); /* hugepages.c: kernel/mm/hugepages */
/** The same for a node: devices/system/node/nodeN/hugepages. */
int sysfs_hugepages_register_node(unsigned int nid);
int sysfs_swiotlb_register(void);  /* swiotlb.c: kernel/debug/swiotlb */
int sysfs_demotion_register(void); /* demotion.c: kernel/mm/numa */
int sysfs_extfrag_register(void);  /* extfrag.c: kernel/debug/extfrag */
int sysfs_lru_gen_register(void);  /* lru_gen.c: kernel/mm/lru_gen, kernel/debug/lru_gen */
int sysfs_zswap_register(void);	   /* zswap.c: module/zswap/parameters, kernel/debug/zswap */
int sysfs_ksm_register(void);	   /* ksm.c: kernel/mm/ksm */
int sysfs_thp_register(void);	   /* thp.c: kernel/mm/transparent_hugepage */
int sysfs_cpu_register(void);	   /* cpu.c: devices/system/cpu */
int sysfs_node_register(void);	   /* node.c: devices/system/node */
#endif
