/*
 * The system calls of guestmm, each declared once.
 *
 * A row is: number, name, function of the kernel, and the kinds of its arguments in their order.
 * From the rows come the kernel's table and the prototypes of its functions (guestmm/kernel/syscalls.c,
 * guestmm/lib/syscall.h), the table in doc/linux.md (tests/vm/syscall_table.awk), the names in a trace
 * (vmm/observe/trace_read.c) and the arguments that user/fuzzcalls.c makes up.
 *
 * A new call is a row here and a function. `area:` names the row of that page's table. Numbers and
 * names are those of Linux's arch/x86/entry/syscalls/syscall_64.tbl; a number that is no call of
 * Linux is a private one (user/mmvm_calls.h) and is not listed.
 */
#ifndef MMVM_SYSCALLS_H
#define MMVM_SYSCALLS_H

/** What an argument is. */
enum mmvm_arg_kind {
	MMVM_ARG_NONE, /* the call takes no argument, or no more */
	MMVM_ARG_FD,
	MMVM_ARG_DIRFD, /* a descriptor, or AT_FDCWD */
	MMVM_ARG_PATH,	/* a string in user memory */
	MMVM_ARG_IN,	/* user memory that the call reads */
	MMVM_ARG_OUT,	/* user memory that the call writes */
	MMVM_ARG_INOUT,
	MMVM_ARG_IOV,	/* an array of struct iovec */
	MMVM_ARG_TIME,	/* a struct timespec, or NULL */
	MMVM_ARG_ADDR,	/* an address that is not read or written */
	MMVM_ARG_LEN,	/* bytes */
	MMVM_ARG_COUNT, /* elements of an array */
	MMVM_ARG_POS,	/* a position in a file */
	MMVM_ARG_PROT,	/* PROT_* */
	MMVM_ARG_OPEN,	/* O_* */
	MMVM_ARG_MODE,	/* permissions of a file */
	MMVM_ARG_FLAGS, /* bits of the call's own */
	MMVM_ARG_NUM,	/* a number or a command */
	MMVM_ARG_PID,
	MMVM_ARG_ID,  /* of a user or a group */
	MMVM_ARG_SIG, /* number of a signal */
	MMVM_ARG_SIGSET_SIZE,
};
#define MMVM_SYSCALL_ARGS 6
#define MMVM_SYSCALL_MAX  512 /* numbers are below this */

/* clang-format off */
/* area: memory */
#define MMVM_SYSCALLS_MEMORY(X) \
	X(9, mmap, sys_mmap, ADDR, LEN, PROT, FLAGS, FD, POS) \
	X(10, mprotect, sys_mprotect, ADDR, LEN, PROT) \
	X(11, munmap, sys_munmap, ADDR, LEN) \
	X(12, brk, sys_brk, ADDR) \
	X(25, mremap, sys_mremap, ADDR, LEN, LEN, FLAGS, ADDR) \
	X(26, msync, sys_msync, ADDR, LEN, FLAGS) \
	X(27, mincore, sys_mincore, ADDR, LEN, OUT) \
	X(28, madvise, sys_madvise, ADDR, LEN, NUM) \
	X(149, mlock, sys_mlock, ADDR, LEN) \
	X(150, munlock, sys_munlock, ADDR, LEN) \
	X(151, mlockall, sys_mlockall, FLAGS) \
	X(152, munlockall, sys_munlockall, NONE) \
	X(216, remap_file_pages, sys_remap_file_pages, ADDR, LEN, PROT, COUNT, FLAGS) \
	X(237, mbind, sys_mbind, ADDR, LEN, NUM, IN, COUNT, FLAGS) \
	X(238, set_mempolicy, sys_set_mempolicy, NUM, IN, COUNT) \
	X(239, get_mempolicy, sys_get_mempolicy, OUT, OUT, COUNT, ADDR, FLAGS) \
	X(256, migrate_pages, sys_migrate_pages, PID, COUNT, IN, IN) \
	X(279, move_pages, sys_move_pages, PID, COUNT, IN, IN, OUT, FLAGS) \
	X(310, process_vm_readv, sys_process_vm_readv, PID, IOV, COUNT, IOV, COUNT, FLAGS) \
	X(311, process_vm_writev, sys_process_vm_writev, PID, IOV, COUNT, IOV, COUNT, FLAGS) \
	X(319, memfd_create, sys_memfd_create, PATH, FLAGS) \
	X(323, userfaultfd, sys_userfaultfd, OPEN) \
	X(324, membarrier, sys_membarrier, FLAGS, FLAGS, NUM) \
	X(325, mlock2, sys_mlock2, ADDR, LEN, FLAGS) \
	X(329, pkey_mprotect, sys_pkey_mprotect, ADDR, LEN, PROT, NUM) \
	X(330, pkey_alloc, sys_pkey_alloc, FLAGS, FLAGS) \
	X(331, pkey_free, sys_pkey_free, NUM) \
	X(447, memfd_secret, sys_memfd_secret, OPEN) \
	X(440, process_madvise, sys_process_madvise, FD, IOV, COUNT, NUM, FLAGS) \
	X(448, process_mrelease, sys_process_mrelease, FD, FLAGS) \
	X(450, set_mempolicy_home_node, sys_set_mempolicy_home_node, ADDR, LEN, NUM, FLAGS) \
	X(462, mseal, sys_mseal, ADDR, LEN, FLAGS)

/* area: processes and threads */
#define MMVM_SYSCALLS_PROCESSES_AND_THREADS(X) \
	X(24, sched_yield, sys_sched_yield, NONE) \
	X(39, getpid, sys_getpid, NONE) \
	X(56, clone, sys_clone, FLAGS, ADDR, OUT, OUT, ADDR) \
	X(57, fork, sys_fork, NONE) \
	X(58, vfork, sys_vfork, NONE) \
	X(59, execve, sys_execve, PATH, IN, IN) \
	X(60, exit, sys_exit, NUM) \
	X(61, wait4, sys_wait4, PID, OUT, FLAGS, OUT) \
	X(110, getppid, sys_getppid, NONE) \
	X(135, personality, sys_personality, FLAGS) \
	X(140, getpriority, sys_getpriority, NUM, PID) \
	X(141, setpriority, sys_setpriority, NUM, PID, NUM) \
	X(142, sched_setparam, sys_sched_setparam, PID, IN) \
	X(144, sched_setscheduler, sys_sched_setscheduler, PID, NUM, IN) \
	X(148, sched_rr_get_interval, sys_sched_rr_get_interval, PID, OUT) \
	X(314, sched_setattr, sys_sched_setattr, PID, IN, FLAGS) \
	X(315, sched_getattr, sys_sched_getattr, PID, OUT, COUNT, FLAGS) \
	X(143, sched_getparam, sys_sched_getparam, PID, OUT) \
	X(145, sched_getscheduler, sys_sched_getscheduler, PID) \
	X(146, sched_get_priority_max, sys_sched_priority_limit, NUM) \
	X(147, sched_get_priority_min, sys_sched_priority_limit, NUM) \
	X(157, prctl, sys_prctl, NUM, NUM, NUM, NUM, NUM) \
	X(158, arch_prctl, sys_arch_prctl, NUM, ADDR) \
	X(186, gettid, sys_gettid, NONE) \
	X(202, futex, sys_futex, INOUT, NUM, NUM, TIME, INOUT, NUM) \
	X(203, sched_setaffinity, sys_sched_setaffinity, PID, LEN, IN) \
	X(204, sched_getaffinity, sys_sched_getaffinity, PID, LEN, OUT) \
	X(218, set_tid_address, sys_set_tid_address, ADDR) \
	X(231, exit_group, sys_exit_group, NUM) \
	X(247, waitid, sys_waitid, NUM, PID, OUT, FLAGS, OUT) \
	X(273, set_robust_list, sys_set_robust_list, ADDR, LEN) \
	X(274, get_robust_list, sys_get_robust_list, PID, OUT, OUT) \
	X(309, getcpu, sys_getcpu, OUT, OUT, ADDR) \
	X(334, rseq, sys_rseq, ADDR, COUNT, FLAGS, NUM) \
	X(424, pidfd_send_signal, sys_pidfd_send_signal, FD, SIG, IN, FLAGS) \
	X(434, pidfd_open, sys_pidfd_open, PID, FLAGS) \
	X(438, pidfd_getfd, sys_pidfd_getfd, FD, FD, FLAGS) \
	X(435, clone3, sys_clone3, IN, LEN) \
	X(449, futex_waitv, sys_futex_waitv, IN, COUNT, FLAGS, TIME, NUM)

/* area: signals */
#define MMVM_SYSCALLS_SIGNALS(X) \
	X(13, rt_sigaction, sys_rt_sigaction, SIG, IN, OUT, SIGSET_SIZE) \
	X(14, rt_sigprocmask, sys_rt_sigprocmask, NUM, IN, OUT, SIGSET_SIZE) \
	X(15, rt_sigreturn, sys_rt_sigreturn, NONE) \
	X(34, pause, sys_pause, NONE) \
	X(62, kill, sys_kill, PID, SIG) \
	X(127, rt_sigpending, sys_rt_sigpending, OUT, SIGSET_SIZE) \
	X(128, rt_sigtimedwait, sys_rt_sigtimedwait, IN, OUT, TIME, SIGSET_SIZE) \
	X(129, rt_sigqueueinfo, sys_rt_sigqueueinfo, PID, SIG, IN) \
	X(130, rt_sigsuspend, sys_rt_sigsuspend, IN, SIGSET_SIZE) \
	X(131, sigaltstack, sys_sigaltstack, IN, OUT) \
	X(200, tkill, sys_tkill, PID, SIG) \
	X(234, tgkill, sys_tgkill, PID, PID, SIG) \
	X(297, rt_tgsigqueueinfo, sys_rt_tgsigqueueinfo, PID, PID, SIG, IN)

/* area: identity and limits */
#define MMVM_SYSCALLS_WHO_AND_LIMITS(X) \
	X(97, getrlimit, sys_getrlimit, NUM, OUT) \
	X(98, getrusage, sys_getrusage, NUM, OUT) \
	X(102, getuid, sys_getuid, NONE) \
	X(104, getgid, sys_getgid, NONE) \
	X(105, setuid, sys_setuid, ID) \
	X(106, setgid, sys_setgid, ID) \
	X(107, geteuid, sys_geteuid, NONE) \
	X(108, getegid, sys_getegid, NONE) \
	X(109, setpgid, sys_setpgid, PID, PID) \
	X(111, getpgrp, sys_getpgrp, NONE) \
	X(112, setsid, sys_setsid, NONE) \
	X(113, setreuid, sys_setreuid, ID, ID) \
	X(114, setregid, sys_setregid, ID, ID) \
	X(115, getgroups, sys_getgroups, COUNT, OUT) \
	X(116, setgroups, sys_setgroups, COUNT, IN) \
	X(117, setresuid, sys_setresuid, ID, ID, ID) \
	X(118, getresuid, sys_getresuid, OUT, OUT, OUT) \
	X(119, setresgid, sys_setresgid, ID, ID, ID) \
	X(120, getresgid, sys_getresgid, OUT, OUT, OUT) \
	X(121, getpgid, sys_getpgid, PID) \
	X(122, setfsuid, sys_setfsuid, ID) \
	X(123, setfsgid, sys_setfsgid, ID) \
	X(124, getsid, sys_getsid, PID) \
	X(125, capget, sys_capget, INOUT, OUT) \
	X(126, capset, sys_capset, INOUT, IN) \
	X(160, setrlimit, sys_setrlimit, NUM, IN) \
	X(302, prlimit64, sys_prlimit64, PID, NUM, IN, OUT)

/* area: time */
#define MMVM_SYSCALLS_TIME(X) \
	X(35, nanosleep, sys_nanosleep, TIME, OUT) \
	X(36, getitimer, sys_getitimer, NUM, OUT) \
	X(37, alarm, sys_alarm, NUM) \
	X(38, setitimer, sys_setitimer, NUM, IN, OUT) \
	X(96, gettimeofday, sys_gettimeofday, OUT, OUT) \
	X(100, times, sys_times, OUT) \
	X(201, time, sys_time, OUT) \
	X(222, timer_create, sys_timer_create, NUM, IN, OUT) \
	X(223, timer_settime, sys_timer_settime, NUM, FLAGS, IN, OUT) \
	X(224, timer_gettime, sys_timer_gettime, NUM, OUT) \
	X(225, timer_getoverrun, sys_timer_getoverrun, NUM) \
	X(226, timer_delete, sys_timer_delete, NUM) \
	X(228, clock_gettime, sys_clock_gettime, NUM, OUT) \
	X(229, clock_getres, sys_clock_getres, NUM, OUT) \
	X(230, clock_nanosleep, sys_clock_nanosleep, NUM, FLAGS, TIME, OUT)

/* area: machine */
#define MMVM_SYSCALLS_MACHINE(X) \
	X(63, uname, sys_uname, OUT) \
	X(99, sysinfo, sys_sysinfo, OUT) \
	X(161, chroot, sys_chroot, PATH) \
	X(162, sync, sys_sync, NONE) \
	X(165, mount, sys_mount, PATH, PATH, PATH, FLAGS, IN) \
	X(166, umount2, sys_umount2, PATH, FLAGS) \
	X(167, swapon, sys_swapon, PATH, FLAGS) \
	X(168, swapoff, sys_swapoff, PATH) \
	X(306, syncfs, sys_syncfs, FD) \
	X(318, getrandom, sys_getrandom, OUT, LEN, FLAGS)

/* area: waiting */
#define MMVM_SYSCALLS_WAITING(X) \
	X(7, poll, sys_poll, INOUT, COUNT, NUM) \
	X(23, select, sys_select, COUNT, INOUT, INOUT, INOUT, INOUT) \
	X(213, epoll_create, sys_epoll_create, COUNT) \
	X(232, epoll_wait, sys_epoll_wait, FD, OUT, COUNT, NUM) \
	X(233, epoll_ctl, sys_epoll_ctl, FD, NUM, FD, IN) \
	X(253, inotify_init, sys_inotify_init, NONE) \
	X(254, inotify_add_watch, sys_inotify_add_watch, FD, PATH, FLAGS) \
	X(255, inotify_rm_watch, sys_inotify_rm_watch, FD, NUM) \
	X(270, pselect6, sys_pselect6, COUNT, INOUT, INOUT, INOUT, TIME, IN) \
	X(271, ppoll, sys_ppoll, INOUT, COUNT, TIME, IN, SIGSET_SIZE) \
	X(281, epoll_pwait, sys_epoll_pwait, FD, OUT, COUNT, NUM, IN, SIGSET_SIZE) \
	X(282, signalfd, sys_signalfd, FD, IN, SIGSET_SIZE) \
	X(283, timerfd_create, sys_timerfd_create, NUM, FLAGS) \
	X(284, eventfd, sys_eventfd, NUM) \
	X(286, timerfd_settime, sys_timerfd_settime, FD, FLAGS, IN, OUT) \
	X(287, timerfd_gettime, sys_timerfd_gettime, FD, OUT) \
	X(289, signalfd4, sys_signalfd4, FD, IN, SIGSET_SIZE, FLAGS) \
	X(290, eventfd2, sys_eventfd2, NUM, FLAGS) \
	X(291, epoll_create1, sys_epoll_create1, FLAGS) \
	X(294, inotify_init1, sys_inotify_init1, FLAGS) \
	X(441, epoll_pwait2, sys_epoll_pwait2, FD, OUT, COUNT, TIME, IN, SIGSET_SIZE)

/* area: names */
#define MMVM_SYSCALLS_NAMES(X) \
	X(2, open, sys_open, PATH, OPEN, MODE) \
	X(4, stat, sys_stat, PATH, OUT) \
	X(5, fstat, sys_fstat, FD, OUT) \
	X(6, lstat, sys_lstat, PATH, OUT) \
	X(21, access, sys_access, PATH, MODE) \
	X(76, truncate, sys_truncate, PATH, LEN) \
	X(79, getcwd, sys_getcwd, OUT, LEN) \
	X(80, chdir, sys_chdir, PATH) \
	X(81, fchdir, sys_fchdir, FD) \
	X(82, rename, sys_rename, PATH, PATH) \
	X(83, mkdir, sys_mkdir, PATH, MODE) \
	X(84, rmdir, sys_rmdir, PATH) \
	X(85, creat, sys_creat, PATH, MODE) \
	X(86, link, sys_link, PATH, PATH) \
	X(87, unlink, sys_unlink, PATH) \
	X(88, symlink, sys_symlink, PATH, PATH) \
	X(89, readlink, sys_readlink, PATH, OUT, LEN) \
	X(90, chmod, sys_chmod, PATH, MODE) \
	X(92, chown, sys_chown, PATH, ID, ID) \
	X(94, lchown, sys_lchown, PATH, ID, ID) \
	X(95, umask, sys_umask, MODE) \
	X(132, utime, sys_utime, PATH, IN) \
	X(133, mknod, sys_mknod, PATH, MODE, NUM) \
	X(137, statfs, sys_statfs, PATH, OUT) \
	X(188, setxattr, sys_setxattr, PATH, PATH, IN, LEN, FLAGS) \
	X(189, lsetxattr, sys_lsetxattr, PATH, PATH, IN, LEN, FLAGS) \
	X(191, getxattr, sys_getxattr, PATH, PATH, OUT, LEN) \
	X(192, lgetxattr, sys_lgetxattr, PATH, PATH, OUT, LEN) \
	X(194, listxattr, sys_listxattr, PATH, OUT, LEN) \
	X(195, llistxattr, sys_llistxattr, PATH, OUT, LEN) \
	X(197, removexattr, sys_removexattr, PATH, PATH) \
	X(198, lremovexattr, sys_lremovexattr, PATH, PATH) \
	X(235, utimes, sys_utimes, PATH, IN) \
	X(257, openat, sys_openat, DIRFD, PATH, OPEN, MODE) \
	X(258, mkdirat, sys_mkdirat, DIRFD, PATH, MODE) \
	X(259, mknodat, sys_mknodat, DIRFD, PATH, MODE, NUM) \
	X(260, fchownat, sys_fchownat, DIRFD, PATH, ID, ID, FLAGS) \
	X(261, futimesat, sys_futimesat, DIRFD, PATH, IN) \
	X(262, newfstatat, sys_newfstatat, DIRFD, PATH, OUT, FLAGS) \
	X(263, unlinkat, sys_unlinkat, DIRFD, PATH, FLAGS) \
	X(264, renameat, sys_renameat, DIRFD, PATH, DIRFD, PATH) \
	X(265, linkat, sys_linkat, DIRFD, PATH, DIRFD, PATH, FLAGS) \
	X(266, symlinkat, sys_symlinkat, PATH, DIRFD, PATH) \
	X(267, readlinkat, sys_readlinkat, DIRFD, PATH, OUT, LEN) \
	X(268, fchmodat, sys_fchmodat, DIRFD, PATH, MODE) \
	X(269, faccessat, sys_faccessat, DIRFD, PATH, MODE) \
	X(280, utimensat, sys_utimensat, DIRFD, PATH, TIME, FLAGS) \
	X(316, renameat2, sys_renameat2, DIRFD, PATH, DIRFD, PATH, FLAGS) \
	X(439, faccessat2, sys_faccessat2, DIRFD, PATH, MODE, FLAGS)

/* area: files */
#define MMVM_SYSCALLS_FILES(X) \
	X(0, read, sys_read, FD, OUT, LEN) \
	X(1, write, sys_write, FD, IN, LEN) \
	X(3, close, sys_close, FD) \
	X(8, lseek, sys_lseek, FD, POS, NUM) \
	X(16, ioctl, sys_ioctl, FD, NUM, INOUT) \
	X(17, pread64, sys_pread64, FD, OUT, LEN, POS) \
	X(18, pwrite64, sys_pwrite64, FD, IN, LEN, POS) \
	X(19, readv, sys_readv, FD, IOV, COUNT) \
	X(20, writev, sys_writev, FD, IOV, COUNT) \
	X(22, pipe, sys_pipe, OUT) \
	X(32, dup, sys_dup, FD) \
	X(33, dup2, sys_dup2, FD, FD) \
	X(40, sendfile, sys_sendfile, FD, FD, INOUT, LEN) \
	X(72, fcntl, sys_fcntl, FD, NUM, INOUT) \
	X(73, flock, sys_flock, FD, NUM) \
	X(74, fsync, sys_fsync, FD) \
	X(75, fdatasync, sys_fdatasync, FD) \
	X(77, ftruncate, sys_ftruncate, FD, LEN) \
	X(78, getdents, sys_getdents, FD, OUT, LEN) \
	X(91, fchmod, sys_fchmod, FD, MODE) \
	X(93, fchown, sys_fchown, FD, ID, ID) \
	X(138, fstatfs, sys_fstatfs, FD, OUT) \
	X(187, readahead, sys_readahead, FD, POS, LEN) \
	X(190, fsetxattr, sys_fsetxattr, FD, PATH, IN, LEN, FLAGS) \
	X(193, fgetxattr, sys_fgetxattr, FD, PATH, OUT, LEN) \
	X(196, flistxattr, sys_flistxattr, FD, OUT, LEN) \
	X(199, fremovexattr, sys_fremovexattr, FD, PATH) \
	X(217, getdents64, sys_getdents64, FD, OUT, LEN) \
	X(221, fadvise64, sys_fadvise64, FD, POS, LEN, NUM) \
	X(275, splice, sys_splice, FD, INOUT, FD, INOUT, LEN, FLAGS) \
	X(276, tee, sys_tee, FD, FD, LEN, FLAGS) \
	X(277, sync_file_range, sys_sync_file_range, FD, POS, LEN, FLAGS) \
	X(278, vmsplice, sys_vmsplice, FD, IOV, COUNT, FLAGS) \
	X(285, fallocate, sys_fallocate, FD, FLAGS, POS, LEN) \
	X(292, dup3, sys_dup3, FD, FD, OPEN) \
	X(293, pipe2, sys_pipe2, OUT, OPEN) \
	X(295, preadv, sys_preadv, FD, IOV, COUNT, POS) \
	X(296, pwritev, sys_pwritev, FD, IOV, COUNT, POS) \
	X(326, copy_file_range, sys_copy_file_range, FD, INOUT, FD, INOUT, LEN, FLAGS) \
	X(327, preadv2, sys_preadv2, FD, IOV, COUNT, POS, NUM, FLAGS) \
	X(328, pwritev2, sys_pwritev2, FD, IOV, COUNT, POS, NUM, FLAGS) \
	X(332, statx, sys_statx, DIRFD, PATH, FLAGS, FLAGS, OUT) \
	X(436, close_range, sys_close_range, FD, FD, FLAGS)

/* area: sharing */
#define MMVM_SYSCALLS_SHARING(X) \
	X(41, socket, sys_socket, NUM, FLAGS, NUM) \
	X(42, connect, sys_connect, FD, IN, COUNT) \
	X(43, accept, sys_accept, FD, OUT, INOUT) \
	X(44, sendto, sys_sendto, FD, IN, LEN, FLAGS, IN, COUNT) \
	X(45, recvfrom, sys_recvfrom, FD, OUT, LEN, FLAGS, OUT, INOUT) \
	X(46, sendmsg, sys_sendmsg, FD, IN, FLAGS) \
	X(47, recvmsg, sys_recvmsg, FD, INOUT, FLAGS) \
	X(48, shutdown, sys_shutdown, FD, NUM) \
	X(49, bind, sys_bind, FD, IN, COUNT) \
	X(50, listen, sys_listen, FD, COUNT) \
	X(51, getsockname, sys_getsockname, FD, OUT, INOUT) \
	X(52, getpeername, sys_getpeername, FD, OUT, INOUT) \
	X(53, socketpair, sys_socketpair, NUM, FLAGS, NUM, OUT) \
	X(54, setsockopt, sys_setsockopt, FD, NUM, NUM, IN, COUNT) \
	X(55, getsockopt, sys_getsockopt, FD, NUM, NUM, OUT, INOUT) \
	X(288, accept4, sys_accept4, FD, OUT, INOUT, FLAGS) \
	X(299, recvmmsg, sys_recvmmsg, FD, INOUT, COUNT, FLAGS, TIME) \
	X(307, sendmmsg, sys_sendmmsg, FD, INOUT, COUNT, FLAGS) \
	X(29, shmget, sys_shmget, NUM, LEN, FLAGS) \
	X(30, shmat, sys_shmat, NUM, ADDR, FLAGS) \
	X(31, shmctl, sys_shmctl, NUM, NUM, INOUT) \
	X(64, semget, sys_semget, NUM, COUNT, FLAGS) \
	X(65, semop, sys_semop, NUM, IN, COUNT) \
	X(66, semctl, sys_semctl, NUM, NUM, NUM, INOUT) \
	X(67, shmdt, sys_shmdt, ADDR) \
	X(220, semtimedop, sys_semtimedop, NUM, IN, COUNT, TIME)

#define MMVM_SYSCALLS(X) \
	MMVM_SYSCALLS_MEMORY(X) \
	MMVM_SYSCALLS_PROCESSES_AND_THREADS(X) \
	MMVM_SYSCALLS_SIGNALS(X) \
	MMVM_SYSCALLS_WHO_AND_LIMITS(X) \
	MMVM_SYSCALLS_TIME(X) \
	MMVM_SYSCALLS_MACHINE(X) \
	MMVM_SYSCALLS_WAITING(X) \
	MMVM_SYSCALLS_NAMES(X) \
	MMVM_SYSCALLS_FILES(X) \
	MMVM_SYSCALLS_SHARING(X)
/* clang-format on */

/** The kinds of a row as initialisers: MMVM_ARG_KINDS(FD, OUT) is MMVM_ARG_FD, MMVM_ARG_OUT. */
#define MMVM_ARG_KINDS(...)			  MMVM_ARGS_PICK_(__VA_ARGS__, 6, 5, 4, 3, 2, 1, )(__VA_ARGS__)
#define MMVM_ARGS_PICK_(a, b, c, d, e, f, n, ...) MMVM_ARGS_##n##_
#define MMVM_ARGS_1_(a)				  MMVM_ARG_##a
#define MMVM_ARGS_2_(a, ...)			  MMVM_ARG_##a, MMVM_ARGS_1_(__VA_ARGS__)
#define MMVM_ARGS_3_(a, ...)			  MMVM_ARG_##a, MMVM_ARGS_2_(__VA_ARGS__)
#define MMVM_ARGS_4_(a, ...)			  MMVM_ARG_##a, MMVM_ARGS_3_(__VA_ARGS__)
#define MMVM_ARGS_5_(a, ...)			  MMVM_ARG_##a, MMVM_ARGS_4_(__VA_ARGS__)
#define MMVM_ARGS_6_(a, ...)			  MMVM_ARG_##a, MMVM_ARGS_5_(__VA_ARGS__)
#endif
