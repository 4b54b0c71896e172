/*
 * /proc/config.gz: what this kernel can do, in the names of Linux's Kconfig. Test suites read it to find out which of
 * their tests can run. A line says that programs find what they expect of the option; what is there in part is not
 * named (CONFIG_SYSVIPC: there are no message queues).
 *
 * The file has the gzip format (RFC 1952) with one stored block (RFC 1951, 3.2.4), so that nothing is compressed here.
 */
#include "fs/proc/proc.h"
#include "arch/uaccess.h"
#include "lib/errno.h"
#include "lib/string.h"

/* clang-format off */
#define OPTIONS(Y) \
	/* what it runs on */ \
	Y(64BIT) Y(X86_64) Y(SMP) Y(MMU) Y(BLOCK) Y(MULTIUSER) Y(BINFMT_ELF) Y(BINFMT_SCRIPT) Y(COREDUMP) Y(ELF_CORE) \
	/* memory */ \
	Y(SWAP) Y(ZSWAP) Y(SHMEM) Y(TMPFS) Y(HUGETLBFS) Y(HUGETLB_PAGE) Y(TRANSPARENT_HUGEPAGE) Y(KSM) Y(COMPACTION) \
	Y(MIGRATION) Y(CMA) Y(NUMA) Y(NUMA_BALANCING) Y(LRU_GEN) Y(CGROUPS) Y(MEMCG) Y(PSI) Y(MEM_SOFT_DIRTY) \
	Y(MEMORY_FAILURE) Y(SECRETMEM) Y(USERFAULTFD) Y(HAVE_ARCH_USERFAULTFD_WP) Y(HAVE_ARCH_USERFAULTFD_MINOR) \
	Y(CROSS_MEMORY_ATTACH) \
	/* calls */ \
	Y(ADVISE_SYSCALLS) Y(MEMBARRIER) Y(RSEQ) Y(FUTEX) Y(FUTEX_PI) Y(EPOLL) Y(EVENTFD) Y(SIGNALFD) Y(TIMERFD) \
	Y(POSIX_TIMERS) Y(INOTIFY_USER) Y(FILE_LOCKING) Y(UNIX) \
	/* files */ \
	Y(PROC_FS) Y(PROC_SYSCTL) Y(PROC_PAGE_MONITOR) Y(SYSFS) Y(TMPFS_XATTR) Y(EXT2_FS) Y(EXT2_FS_XATTR) Y(FS_DAX) \
	Y(IKCONFIG) Y(IKCONFIG_PROC)
/* clang-format on */
#define LINE(option) "CONFIG_" #option "=y\n"

static const char text[] =
	"#\n# mmvm, not Linux: options whose interfaces are there\n#\n" OPTIONS(LINE);
#define TEXT_LEN (sizeof(text) - 1)
_Static_assert(TEXT_LEN <= 0xffff, "one stored block");

/* Member header: deflate, no name, no time, made on Unix. */
static const u8 head[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3,
			  /* the last block, stored; its length, and that inverted */
			  1, TEXT_LEN & 0xff, TEXT_LEN >> 8, ~TEXT_LEN & 0xff,
			  ~(TEXT_LEN >> 8) & 0xff};

/** As it lies in the file. */
static struct gzip_file {
	u8 head[sizeof(head)];
	char text[TEXT_LEN];
	u8 crc[4], len[4];
} __attribute__((packed)) file;
_Static_assert(sizeof(struct gzip_file) == sizeof(head) + TEXT_LEN + 8, "no gaps");

/* RFC 1952, 8. */
static u32 crc32(const char *from, size_t len)
{
	u32 crc = ~0u;

	while (len--) {
		crc ^= (u8)*from++;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	return ~crc;
}

/* Made by whoever reads it. Two at once write the same. */
static void make_file(void)
{
	const u32 crc = crc32(text, TEXT_LEN), len = TEXT_LEN;

	memcpy(file.head, head, sizeof(head));
	memcpy(file.text, text, TEXT_LEN);
	memcpy(file.crc, &crc, sizeof(crc));
	memcpy(file.len, &len, sizeof(len));
}

long proc_read_config(struct file *f, unsigned long buf, size_t len, u64 *pos,
		      const struct proc_ctx *ctx)
{
	(void)f;
	(void)ctx;
	if (*pos >= sizeof(file))
		return 0;
	len = min(len, sizeof(file) - (size_t)*pos);
	make_file();
	if (copy_to_user(buf, (const char *)&file + *pos, len))
		return -EFAULT;
	*pos += len;
	return (long)len;
}
