/* What uname(2) and /proc say this kernel is: by its system calls, Linux. */
#ifndef KERNEL_VERSION_H
#define KERNEL_VERSION_H
#define GUESTMM_SYSNAME "Linux"
#define GUESTMM_HOST	"mmvm"
#define GUESTMM_RELEASE "6.1.0-guestmm" /* the release whose results the calls have */
#define GUESTMM_VERSION "#1 guestmm"
#define GUESTMM_MACHINE "x86_64"
#endif
