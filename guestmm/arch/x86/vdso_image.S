/* The vDSO's ELF image (arch/x86/vdso), as the kernel copies it to the page that programs see (kernel/vdso.c). */
	.section .rodata.vdso, "a"
	.balign 16
	.globl vdso_image, vdso_image_end
vdso_image:
	.incbin "vdso.so"
vdso_image_end:
	.section .note.GNU-stack, "", @progbits
