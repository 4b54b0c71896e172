/* The version in uname(2) and /proc. It is a Linux version, because the system calls are Linux's. */
#ifndef KERNEL_VERSION_H
#define KERNEL_VERSION_H
#define GUESTMM_SYSNAME "Linux"
#define GUESTMM_HOST	"mmvm"
#define GUESTMM_RELEASE "6.1.0-guestmm" /* the Linux release whose system calls this kernel has */
#define GUESTMM_VERSION "#1 guestmm"
#define GUESTMM_MACHINE "x86_64"
#endif
