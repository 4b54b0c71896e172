/*
 * Programs that must die, one way each:
 *
 * segv null|text|rodata|noaccess|kernel|exec|noncanonical|unmapped|priv|divide|ill
 *
 * Returns 3 when it is still alive, 2 for a way that it does not know. On Linux each ends by the
 * signal named beside it.
 */
#include "rt.h"

static const int constant = 7;

static void touch(unsigned long addr)
{
	/* In assembly: the compiler knows too well that some of these cannot be. */
	__asm__ volatile("movl $1, (%0)" ::"r"(addr) : "memory");
}

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "null";
	long p = map_memory(PAGE_SIZE);

	if (is_error(p))
		return 2;
	if (!strcmp(how, "null")) { /* SIGSEGV, not mapped */
		touch(8);
	} else if (!strcmp(how, "text")) { /* SIGSEGV, protection */
		touch((unsigned long)&main);
	} else if (!strcmp(how, "rodata")) { /* SIGSEGV, protection */
		touch((unsigned long)&constant);
	} else if (!strcmp(how, "noaccess")) { /* SIGSEGV, protection */
		touch(p);
		sys_mprotect(p, PAGE_SIZE, PROT_NONE);
		print("%d\n", *(volatile int *)p);
	} else if (!strcmp(how, "kernel")) { /* SIGSEGV: the kernel's half is not ours */
		touch(0xffffffff80100000ul);
	} else if (!strcmp(how, "exec")) { /* SIGSEGV: data is not code */
		*(volatile unsigned char *)p = 0xc3;
		((void (*)(void))p)();
	} else if (!strcmp(how, "noncanonical")) { /* SIGSEGV by general protection */
		touch(0x0123456789abcdeful);
	} else if (!strcmp(how, "unmapped")) { /* SIGSEGV after munmap */
		touch(p);
		sys_munmap(p, PAGE_SIZE);
		touch(p);
	} else if (!strcmp(how, "priv")) { /* SIGSEGV by general protection */
		__asm__ volatile("hlt");
	} else if (!strcmp(how, "divide")) { /* SIGFPE */
		__asm__ volatile("xorl %%ecx, %%ecx; xorl %%edx, %%edx; divl %%ecx" ::"a"(1)
				 : "ecx", "edx");
	} else if (!strcmp(how, "ill")) { /* SIGILL */
		__asm__ volatile("ud2");
	} else {
		print("segv: unknown way %s\n", how);
		return 2;
	}
	print("segv: %s: still alive\n", how);
	return 3;
}
