/*
 * Copies between kernel and user memory. Each instruction that touches user memory has an entry in
 * the exception table: where to go on when its fault cannot be resolved.
 *
 * Eight bytes at a time, then the rest one by one: where ring 0 is emulated, an iteration costs as
 * much for eight bytes as for one. RCX tells at any point how much is left.
 *
 * With SMAP, user pages are open between stac and clac only. A fault in between is taken with AC
 * set; do_kernel_fault() clears it for the time it runs, and IRETQ brings it back.
 */
#include "arch/asm.h"

.macro EX_TABLE from to
	.pushsection __ex_table, "a", @progbits
	.quad	\from, \to
	.popsection
.endm
.macro USER_OPEN
	cmpb	$0, cpu_has_smap(%rip)
	je	.Lopen\@
	stac
.Lopen\@:
.endm
.macro USER_CLOSE
	cmpb	$0, cpu_has_smap(%rip)
	je	.Lclose\@
	clac
.Lclose\@:
.endm
/* Refuse [\addr, \addr + rdx) unless it lies below TASK_SIZE: jump to \bad. Clobbers rcx. */
.macro CHECK_RANGE addr bad
	movq	\addr, %rcx
	addq	%rdx, %rcx
	jc	\bad
	cmpq	task_size(%rip), %rcx
	ja	\bad
.endm

	.text
/* size_t copy_to_user(unsigned long to, const void *from, size_t n) */
	.balign 16
	.globl	copy_to_user
copy_to_user:
	CHECK_RANGE %rdi copy_refused
	jmp	copy_user

/* size_t copy_from_user(void *to, unsigned long from, size_t n) */
	.balign 16
	.globl	copy_from_user
copy_from_user:
	CHECK_RANGE %rsi copy_refused
copy_user:
	USER_OPEN
	movq	%rdx, %rcx
	shrq	$3, %rcx
1:	rep movsq
	movl	%edx, %ecx
	andl	$7, %ecx
2:	rep movsb
3:	USER_CLOSE
	movq	%rcx, %rax
	ret
copy_refused:
	movq	%rdx, %rax
	ret
/* In the words: 8 * rcx and the odd bytes are left. Of the word that faulted the bytes before the page
 * boundary are good: one by one. */
copy_fixup:
	andl	$7, %edx
	leaq	(%rdx, %rcx, 8), %rcx
10:	rep movsb
	jmp	3b
	EX_TABLE 1b copy_fixup
	EX_TABLE 2b 3b
	EX_TABLE 10b 3b

/* size_t clear_user(unsigned long to, size_t n) */
	.balign 16
	.globl	clear_user
clear_user:
	movq	%rsi, %rdx
	CHECK_RANGE %rdi copy_refused
	USER_OPEN
	xorl	%eax, %eax
	movq	%rdx, %rcx
	shrq	$3, %rcx
4:	rep stosq
	movl	%edx, %ecx
	andl	$7, %ecx
5:	rep stosb
	jmp	3b
clear_fixup:
	andl	$7, %edx
	leaq	(%rdx, %rcx, 8), %rcx
11:	rep stosb
	jmp	3b
	EX_TABLE 4b clear_fixup
	EX_TABLE 5b 3b
	EX_TABLE 11b 3b

/* long strncpy_from_user(char *to, unsigned long from, size_t n) */
	.balign 16
	.globl	strncpy_from_user
strncpy_from_user:
	USER_OPEN
	xorl	%ecx, %ecx
	movabsq	$0x00007ffffffff000, %r8
6:	cmpq	%rdx, %rcx
	jae	8f
	leaq	(%rsi, %rcx), %rax
	cmpq	%r8, %rax
	jae	9f
7:	movb	(%rax), %al
	movb	%al, (%rdi, %rcx)
	testb	%al, %al
	jz	3b			/* rcx = length without the NUL */
	incq	%rcx
	jmp	6b
8:	movq	$-36, %rcx		/* -ENAMETOOLONG */
	jmp	3b
9:	movq	$-14, %rcx		/* -EFAULT */
	jmp	3b
	EX_TABLE 7b 9b

/* int cmpxchg_user(unsigned long addr, u32 old, u32 new, u32 *seen) */
	.balign 16
	.globl	cmpxchg_user
cmpxchg_user:
	movabsq	$0x00007fffffffeffc, %rax
	cmpq	%rax, %rdi
	ja	13f
	USER_OPEN
	movl	%esi, %eax
12:	lock cmpxchgl %edx, (%rdi)
	movl	%eax, (%rcx)
	xorl	%eax, %eax
14:	USER_CLOSE
	ret
13:	movl	$-14, %eax		/* -EFAULT */
	ret
15:	movl	$-14, %eax
	jmp	14b
	EX_TABLE 12b 15b

	.section .note.GNU-stack, "", @progbits
