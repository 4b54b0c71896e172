/*
 * Test channel: structured records from the guest to the VMM.
 *
 * The guest fills a record in its own memory and writes its physical address >> 4 to
 * MMVM_TESTCHAN_PORT; when the `out` retires, the record has been read. The VMM checks address,
 * length and kind; a record it cannot read is counted and answered with status -EINVAL (or -EFAULT)
 * in `status`, nothing else.
 */
#ifndef MMVM_TESTCHAN_H
#define MMVM_TESTCHAN_H

#include <stdint.h>

#define MMVM_RECORD_MAX 65536u /* largest record, header included; must not cross a RAM region */

enum mmvm_record_kind {
	MMVM_REC_EXIT = 1,     /* value: exit status of the program or suite; the VM stops */
	MMVM_REC_BOOTED = 2,   /* the kernel is up: value = instructions or TSC ticks since entry */
	MMVM_REC_PROGRESS = 3, /* name: phase; value: done; value2: total */
	MMVM_REC_TEST_BEGIN = 4, /* name: "suite.case" */
	MMVM_REC_TEST_END = 5,	 /* name; value: enum mmvm_test_result; text: reason */
	MMVM_REC_BENCH = 6,  /* name: operation; value: cost x 1000 for one; value2: repetitions */
	MMVM_REC_REPORT = 7, /* name: "meminfo" ...; text: contents */
	MMVM_REC_AUDIT = 8,  /* ask the host to audit now; VMM sets `status` to findings found */
	MMVM_REC_PANIC = 9,  /* text: message; value: guest virtual address of struct mmvm_crash */
	MMVM_REC_CONSOLE =
		10, /* text: console bytes in one exit instead of one each (fast console) */
	MMVM_REC_KILLED = 11, /* name: comm; value: signal; value2: fault address; text: report */
	MMVM_REC_DISK_STATS =
		12, /* VMM fills struct mmvm_disk_stats into text for device `name` (role) */
	MMVM_REC_HOSTFAULT = 13, /* fault injection: name: device role; value: fail k-th request;
				    value2: count */
	/* name: phase ("begin", "end" ...); value: address of struct mmvm_round in the running
	 * address space; VMM sets `status`, e.g. to differences found */
	MMVM_REC_ROUND = 14,
	MMVM_REC_PROFILE = 15, /* name: operation; value: 1 begins, 0 has ended */
	/* the bitmap of mmvm/access.h is filled; value: pages found; value2: TSC ticks it took */
	MMVM_REC_ACCESS = 16,
	MMVM_REC_EXPECT = 17, /* text: words that must be on the console when the test has ended */
	/* value: target of the balloon in pages, or MMVM_BALLOON_LOOK: it stays; VMM fills struct
	 * mmvm_balloon into text. -ENODEV: there is no balloon */
	MMVM_REC_BALLOON = 18,
	MMVM_REC_KINDS,
};

enum mmvm_test_result { MMVM_TEST_PASS = 0, MMVM_TEST_FAIL = 1, MMVM_TEST_SKIP = 2 };

struct mmvm_record {
	uint32_t kind;	   /* enum mmvm_record_kind */
	uint32_t len;	   /* bytes of the whole record, this header included */
	int32_t status;	   /* written by the VMM: 0 or -errno or a count, as the kind says */
	uint32_t text_len; /* bytes of text behind the header, no NUL needed */
	uint64_t value;
	uint64_t value2;
	char name[64]; /* NUL-terminated */
	char text[];
};
_Static_assert(sizeof(struct mmvm_record) == 96, "record header is part of the contract");

struct mmvm_disk_stats {
	uint64_t reads, writes, flushes, discards, errors; /* requests completed */
	uint64_t sectors_read, sectors_written;		   /* 512 bytes each */
};

#define MMVM_BALLOON_LOOK  UINT64_MAX	    /* no new target */
#define MMVM_BALLOON_STATS (UINT64_MAX - 1) /* nor this: have the guest send its statistics */

/** The balloon as the host sees it; pages. */
struct mmvm_balloon {
	uint64_t target, actual; /* wanted; what the driver says */
	uint64_t pages;		 /* in the device's set */
	uint64_t inflated, deflated, reported, given_back;
	uint64_t nr_stats,
		stat_free; /* statistics received; the last one's free memory, in bytes */
	uint64_t resident; /* guest RAM that the host has given memory for */
};

/**
 * What has happened to a program's pages since the round began, told in its own memory. The VMM compares it
 * with what it saw (vmm/observe/dirty_exact.c). The phase that ends the round says what the bitmap is of:
 * "end", pages that the program wrote; "device", that a device wrote; "moved", that have another frame.
 */
struct mmvm_round {
	uint64_t number;
	uint64_t base, pages; /* the region the program speaks of: page-aligned address, length */
	uint64_t written;     /* address of a bitmap, 64-bit words, one bit a page of the region */
};
_Static_assert(sizeof(struct mmvm_round) == 32, "round is part of the contract");

/** Registers at a crash, read by the VMM from guest memory to print and symbolise. */
struct mmvm_crash {
	uint64_t vector, error, cr2, cr3;
	uint64_t rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp;
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
	uint64_t rip, rflags, cs, ss;
};
_Static_assert(sizeof(struct mmvm_crash) == 24 * 8, "crash record is part of the contract");

/**
 * One guest test, in section ".mmvm_tests" of the guest ELF. The VMM lists tests from the file
 * without booting it; the guest runs the one named in the device tree. Non-PIE, so `fn` is a
 * link-time address.
 */
struct mmvm_test_desc {
	char name[64];	/* "suite.case" */
	uint64_t fn;	/* void (*)(struct test *) */
	uint32_t flags; /* MMVM_TESTF_* */
	uint32_t
		timeout_s; /* in the lab or on hardware; 0 = default; x6 where ring 0 is emulated */
	char args[112]; /* extra VM options: "memory=24M,high=8M swap=64M" (see vmm/cmd_test.c), or
			  "" */
};
_Static_assert(sizeof(struct mmvm_test_desc) == 192, "test descriptor is part of the contract");

#define MMVM_TESTF_LAB_ONLY \
	(1u << 0) /* too long where ring 0 is emulated; run in lab or on hardware */
#define MMVM_TESTF_EXPECT_CRASH (1u << 1) /* passes only if the guest panics */
#define MMVM_TESTF_EXPECT_AUDIT \
	(1u << 2)		  /* plants a corruption: passes only if the audit names it: \
				     the test sends TEST_END text "audit:<finding name>" */
#define MMVM_TESTF_USER (1u << 3) /* needs the user programs in the initrd */
#define MMVM_TESTF_BENCH \
	(1u << 4) /* a benchmark: listed and run by `mmvm bench`, not by `mmvm test` */

#endif
