/*
 * Core files: the memory and the registers of a process that ends by a signal, as an ELF file.
 *
 *   ELF header │ PT_NOTE, PT_LOAD, PT_LOAD... │ notes │ padding to a page │ memory, mapping by mapping
 *
 * Each mapping has a PT_LOAD. p_memsz is its size, and p_filesz the size of its part in the file: all, nothing, or the
 * first page of a mapped program, which identifies it for a debugger (core(5), /proc/PID/coredump_filter,
 * MADV_DONTDUMP). Pages that were never written and zero pages are holes, so the core of a large, sparse heap is small.
 * Pages in swap are read back. Pages of files are read through the page cache, without being mapped.
 *
 * Notes: NT_PRSTATUS, NT_PRPSINFO, NT_SIGINFO, NT_AUXV, NT_FILE, NT_PRFPREG of the thread that got the signal, then
 * NT_PRSTATUS and NT_PRFPREG of each other one. There is no NT_X86_XSTATE, as on a CPU without XSAVE.
 *
 * The limits are Linux's: RLIMIT_CORE counts bytes written, not holes. A core that it cuts off counts as
 * a core.
 *
 * Locks: mmap_lock for reading while the mappings are listed, and for each page (get_dump_page()).
 *
 * Sources: core(5); <linux/elfcore.h>; System V ABI AMD64 supplement, "Note section"; Linux's fs/binfmt_elf.c for the order.
 */
#include <linux/elf.h>

#include "fs/exec/coredump.h"
#include "fs/internal.h"
#include "kernel/cred.h"
#include "kernel/time_calls.h"
#include "lib/string.h"
#include "mm/kvirt/vmalloc.h"
#include "mm/phys/highmem.h"
#include "mm/virt/mm.h"
#include "mm/fault/remote.h"
#include "mmvm/layout.h"

#define MAX_FILE_NOTE (4ul << 20)
#define PSARGS	      80
#define XNUM	      0xffffu /* PN_XNUM: the number of headers is in section 0 */

/* ---- what the notes hold ---------------------------------------------------------------------- */

struct core_times {
	s64 sec, usec;
};
struct core_prstatus {
	s32 si_signo, si_code, si_errno;
	u16 cursig, pad;
	u64 sigpend, sighold;
	s32 pid, ppid, pgrp, sid;
	struct core_times user, system, children_user, children_system;
	u64 r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi, orig_rax;
	u64 rip, cs, rflags, rsp, ss, fs_base, gs_base, ds, es, fs, gs;
	s32 fpvalid, pad2;
};
_Static_assert(sizeof(struct core_prstatus) == 336, "Linux's ABI");
struct core_prpsinfo {
	u8 state, sname, zombie;
	u8 nice;
	u32 pad;
	u64 flag;
	u32 uid, gid;
	s32 pid, ppid, pgrp, sid;
	char fname[16], psargs[PSARGS];
};
_Static_assert(sizeof(struct core_prpsinfo) == 136, "Linux's ABI");

static struct core_times times_of(u64 ns)
{
	return (struct core_times){(s64)(ns / NSEC_PER_SEC), (s64)(ns % NSEC_PER_SEC / 1000)};
}

/* T held. */
static void fill_status(struct core_prstatus *s, const struct core_dump *core, const struct task *t)
{
	const struct pt_regs *r = t == core->dumper ? core->regs : task_user_regs(t);
	struct process *p = t->proc;
	u64 user, system;

	if (t->pid == p->pid) {
		process_times(p, &user, &system);
	} else {
		user = task_run_ns(t);
		system = task_system_ns(t, user);
		user -= system;
	}
	*s = (struct core_prstatus){
		.si_signo = core->sig,
		.cursig = (u16)core->sig,
		.sigpend = t->sig_pending.set,
		.sighold = t->sig_blocked,
		.pid = t->pid,
		.ppid = p->ppid,
		.pgrp = p->pgid,
		.sid = p->sid,
		.user = times_of(user),
		.system = times_of(system),
		.children_user = times_of(p->children_run_ns - p->children_sys_ns),
		.children_system = times_of(p->children_sys_ns),
		.cs = MMVM_USER_CS,
		.ss = MMVM_USER_DS,
		.fs_base = t->fs_base,
		.fpvalid = 1,
	};
	memcpy(&s->r15, r, offsetof(struct pt_regs, cs));
	s->rflags = r->rflags;
	s->rsp = r->rsp;
}
_Static_assert(offsetof(struct core_prstatus, rip) - offsetof(struct core_prstatus, r15) ==
		       offsetof(struct pt_regs, rip),
	       "the same order");

static void fill_psinfo(struct core_prpsinfo *s)
{
	const struct process *p = current_process();
	const struct cred *cred = current_cred();
	struct mm_struct *mm = current->mm;
	size_t n = min((size_t)(mm->arg_end - mm->arg_start), (size_t)PSARGS - 1);

	*s = (struct core_prpsinfo){
		.sname = 'R',
		.nice = (u8)current->nice,
		.uid = cred->uid,
		.gid = cred->gid,
		.pid = p->pid,
		.ppid = p->ppid,
		.pgrp = p->pgid,
		.sid = p->sid,
	};
	memcpy(s->fname, current->comm, sizeof(s->fname));
	n = read_remote_vm(mm, mm->arg_start, s->psargs, n);
	for (size_t i = 0; i < n; i++) {
		if (!s->psargs[i])
			s->psargs[i] = ' ';
	}
}

/* ---- notes, in memory that grows -------------------------------------------------------------- */

struct notes {
	u8 *buf;
	size_t len, size;
	bool failed; /* no memory */
};

static void *notes_room(struct notes *n, size_t len)
{
	void *at;

	if (n->failed || n->len + len > n->size) {
		size_t size = ALIGN_UP(max(n->len + len, n->size * 2), PAGE_SIZE);
		u8 *buf = n->failed ? NULL : vmalloc(size);

		if (!buf) {
			n->failed = true;
			return NULL;
		}
		if (n->len)
			memcpy(buf, n->buf, n->len);
		vfree(n->buf);
		n->buf = buf;
		n->size = size;
	}
	at = n->buf + n->len;
	memset(at, 0, len);
	n->len += len;
	return at;
}

/* Append a note's header. Returns the room for its contents; NULL: no memory. */
static void *note(struct notes *n, u32 type, size_t len)
{
	struct {
		Elf64_Nhdr header;
		char name[8];
	} head = {{5, (Elf64_Word)len, type}, "CORE"};
	void *at = notes_room(n, sizeof(head));

	if (at)
		memcpy(at, &head, sizeof(head));
	return notes_room(n, ALIGN_UP(len, 4));
}

static void note_copy(struct notes *n, u32 type, const void *data, size_t len)
{
	void *at = note(n, type, len);

	if (at)
		memcpy(at, data, len);
}

static void note_auxv(struct notes *n)
{
	const u64 *v = current->mm->saved_auxv;
	size_t i = 0;

	while (i + 2 < ARRAY_SIZE(current->mm->saved_auxv) && v[i])
		i += 2;
	note_copy(n, NT_AUXV, v, (i + 2) * sizeof(*v));
}

static void note_status(struct notes *n, const struct core_dump *core, const struct task *t)
{
	void *at = note(n, NT_PRSTATUS, sizeof(struct core_prstatus));
	unsigned long flags;

	if (!at)
		return;
	flags = spin_lock_irqsave(&task_list_lock);
	fill_status(at, core, t);
	spin_unlock_irqrestore(&task_list_lock, flags);
}

/* The name of a mapping's file, as in Linux; "": it has none. mmap_lock held. */
static const char *mapped_name(const struct vm_area_struct *vma, char *page)
{
	if (vma->file)
		return file_name(vma->file, page, PAGE_SIZE);
	if (!vma->mapping)
		return "";
	return vma->flags & VM_HUGETLB ? "/anon_hugepage (deleted)" : "/dev/zero (deleted)";
}

/* NT_FILE: count, page size, {start, end, page of the file} for each mapping, names. */
static void note_files(struct notes *n)
{
	struct mm_struct *mm = current->mm;
	char *page = kmalloc(PAGE_SIZE, GFP_KERNEL);
	struct notes rows = {0}, names = {0};
	u64 count = 0, head[2], *row;
	struct vm_area_struct *vma;
	void *at;

	if (!page) {
		n->failed = true;
		return;
	}
	down_read(&mm->mmap_lock);
	list_for_each_entry (vma, &mm->mmap, link) {
		const char *name = mapped_name(vma, page);

		if (!name[0] || names.len + rows.len > MAX_FILE_NOTE)
			continue;
		row = notes_room(&rows, 3 * sizeof(*row));
		at = notes_room(&names, strlen(name) + 1);
		if (!row || !at)
			break;
		row[0] = vma->vm_start;
		row[1] = vma->vm_end;
		row[2] = vma->pgoff;
		memcpy(at, name, strlen(name) + 1);
		count++;
	}
	up_read(&mm->mmap_lock);
	n->failed |= rows.failed || names.failed;
	head[0] = count;
	head[1] = PAGE_SIZE;
	at = note(n, NT_FILE, sizeof(head) + rows.len + names.len);
	if (at) {
		memcpy(at, head, sizeof(head));
		memcpy((u8 *)at + sizeof(head), rows.buf, rows.len);
		memcpy((u8 *)at + sizeof(head) + rows.len, names.buf, names.len);
	}
	vfree(rows.buf);
	vfree(names.buf);
	kfree(page);
}

static void make_notes(struct notes *n, const struct core_dump *core)
{
	struct core_prpsinfo psinfo;
	u8 siginfo[128];
	struct task *t;

	note_status(n, core, core->dumper);
	fill_psinfo(&psinfo);
	note_copy(n, NT_PRPSINFO, &psinfo, sizeof(psinfo));
	siginfo_fill(siginfo, core->sig, &core->info);
	note_copy(n, NT_SIGINFO, siginfo, sizeof(siginfo));
	note_auxv(n);
	note_files(n);
	note_copy(n, NT_PRFPREG, core->dumper->fpu, ARCH_FPU_SIZE);
	/* No thread is added, and parked threads do not end, so their part of the list does not change. */
	list_for_each_entry (t, &current_process()->threads, thread) {
		if (t == core->dumper || !t->mm)
			continue;
		note_status(n, core, t);
		note_copy(n, NT_PRFPREG, t->fpu, ARCH_FPU_SIZE);
	}
}

/* ---- memory ----------------------------------------------------------------------------------- */

/* A mapping as it was when the dump began. */
struct core_vma {
	unsigned long start, end, flags;
	u64 dumped;	    /* how many bytes of it are in the file */
	bool maybe_program; /* its first page, if that is an ELF header */
};

static bool is_nameless(const struct vm_area_struct *vma)
{
	return !vma->file || !vma->file->path.dentry || !vma->file->inode->nlink;
}

/* Decide how much of a mapping is dumped, as Linux's vma_dump_size(). mmap_lock held. */
static void choose(struct core_vma *c, const struct vm_area_struct *vma, u32 filter)
{
	const bool shared = vma->flags & VM_SHARED;
	bool whole;

	*c = (struct core_vma){vma->vm_start, vma->vm_end, vma->flags, 0, false};
	if (vma->flags & VM_DONTDUMP)
		return;
	if (vma->flags & VM_HUGETLB)
		whole = filter & (shared ? DUMP_HUGETLB_SHARED : DUMP_HUGETLB_PRIVATE);
	else if (shared)
		whole = filter & (is_nameless(vma) ? DUMP_ANON_SHARED : DUMP_MAPPED_SHARED);
	else
		whole = (vma->anon_vma && filter & DUMP_ANON_PRIVATE) ||
			(vma->file && filter & DUMP_MAPPED_PRIVATE);
	if (whole)
		c->dumped = vma->vm_end - vma->vm_start;
	else if (!shared && vma->file && filter & DUMP_ELF_HEADERS && !vma->pgoff &&
		 vma->flags & VM_READ && !(vma->flags & VM_HUGETLB)) {
		if (vma->file->inode->mode & 0111)
			c->dumped = PAGE_SIZE;
		else
			c->maybe_program = true;
	}
}

static bool is_elf_page(unsigned long addr)
{
	struct page *held, *page = get_dump_page(current->mm, addr, &held);
	char start[SELFMAG];

	if (!page)
		return false;
	memcpy_from_page(start, page, 0, SELFMAG);
	put_page(held);
	return !memcmp(start, ELFMAG, SELFMAG);
}

/* All mappings, in order. NULL: no memory. */
static struct core_vma *list_mappings(u32 *n)
{
	struct mm_struct *mm = current->mm;
	u32 filter = READ_ONCE(mm->dump_filter), i = 0;
	struct vm_area_struct *vma;
	struct core_vma *list;

	down_read(&mm->mmap_lock);
	list = vmalloc(max(mm->map_count, 1u) * sizeof(*list));
	if (list) {
		list_for_each_entry (vma, &mm->mmap, link)
			choose(&list[i++], vma, filter);
	}
	up_read(&mm->mmap_lock);
	*n = i;
	for (i = 0; list && i < *n; i++) {
		if (list[i].maybe_program && is_elf_page(list[i].start))
			list[i].dumped = PAGE_SIZE;
	}
	return list;
}

/* ---- the file --------------------------------------------------------------------------------- */

struct core_file {
	struct file *file;
	u64 pos;     /* position of the next byte */
	u64 end;     /* present size of the file */
	u64 written; /* bytes, against the limit */
	u64 limit;
	bool failed; /* the limit, the disk, or SIGKILL: nothing more is written */
};

/* Write all of it or, if it exceeds the limit, nothing. */
static void put(struct core_file *c, const void *data, size_t len)
{
	size_t done = 0;

	if (c->failed || coredump_killed() || c->written + len > c->limit) {
		c->failed = true;
		return;
	}
	while (done < len) {
		long n = file_write_kernel(c->file, (const u8 *)data + done, len - done, &c->pos);

		if (n <= 0) {
			c->failed = true;
			return;
		}
		done += n;
	}
	c->written += len;
	c->end = c->pos;
}

static void put_memory(struct core_file *c, const struct core_vma *vma)
{
	for (u64 at = 0; at < vma->dumped && !c->failed; at += PAGE_SIZE) {
		struct page *held, *page = get_dump_page(current->mm, vma->start + at, &held);

		if (page) {
			const void *p = kmap_local_page(page);

			put(c, p, PAGE_SIZE);
			kunmap_local(p);
			put_page(held);
		} else {
			c->pos += PAGE_SIZE;
			c->failed |= coredump_killed();
		}
		cond_resched();
	}
}

/* Write the headers, for n mappings and `notes` bytes of notes. */
static void put_headers(struct core_file *c, const struct core_vma *vma, u32 n, size_t notes)
{
	const bool many = n + 1 >= XNUM;
	u64 offset = sizeof(Elf64_Ehdr) + (n + 1ull) * sizeof(Elf64_Phdr), sections = 0;
	Elf64_Ehdr eh = {
		.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
		.e_type = ET_CORE,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_phoff = sizeof(Elf64_Ehdr),
		.e_ehsize = sizeof(Elf64_Ehdr),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = (Elf64_Half)(many ? XNUM : n + 1),
	};
	Elf64_Phdr ph = {.p_type = PT_NOTE, .p_offset = offset, .p_filesz = notes};

	offset = ALIGN_UP(offset + notes, PAGE_SIZE);
	for (u32 i = 0; i < n; i++)
		sections += vma[i].dumped;
	if (many) {
		eh.e_shoff = offset + sections;
		eh.e_shentsize = sizeof(Elf64_Shdr);
		eh.e_shnum = 1;
	}
	put(c, &eh, sizeof(eh));
	put(c, &ph, sizeof(ph));
	for (u32 i = 0; i < n; i++) {
		ph = (Elf64_Phdr){
			.p_type = PT_LOAD,
			.p_offset = offset,
			.p_vaddr = vma[i].start,
			.p_filesz = vma[i].dumped,
			.p_memsz = vma[i].end - vma[i].start,
			.p_flags = (vma[i].flags & VM_READ ? PF_R : 0) |
				   (vma[i].flags & VM_WRITE ? PF_W : 0) |
				   (vma[i].flags & VM_EXEC ? PF_X : 0),
			.p_align = PAGE_SIZE,
		};
		put(c, &ph, sizeof(ph));
		offset += vma[i].dumped;
	}
}

/* False: nothing has been written, for lack of memory. */
static bool put_core(struct core_file *c, const struct core_dump *core)
{
	struct notes notes = {0};
	struct core_vma *vma;
	u32 n;

	vma = list_mappings(&n);
	make_notes(&notes, core);
	if (!vma || notes.failed) {
		vfree(vma);
		vfree(notes.buf);
		return false;
	}
	put_headers(c, vma, n, notes.len);
	put(c, notes.buf, notes.len);
	c->pos = ALIGN_UP(c->pos, PAGE_SIZE);
	for (u32 i = 0; i < n && !c->failed; i++)
		put_memory(c, &vma[i]);
	if (n + 1 >= XNUM) {
		Elf64_Shdr sh = {.sh_type = SHT_NULL, .sh_info = n + 1, .sh_size = 1};

		put(c, &sh, sizeof(sh));
	}
	/* If the core ends with a hole, extend the file to its full size. */
	if (!c->failed && c->pos > c->end) {
		c->pos--;
		put(c, "", 1);
	}
	vfree(vma);
	vfree(notes.buf);
	return true;
}

/* Create an empty file that no other process has open. */
static int open_core(const char *name, struct file **file)
{
	struct inode *inode;
	int err;

	err = vfs_open(AT_FDCWD, name, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_LARGEFILE, 0600,
		       file);
	if (err)
		return err;
	inode = (*file)->inode;
	if (S_ISREG(inode->mode) && inode->nlink == 1 && inode->uid == current_cred()->fsuid &&
	    (inode->mode & 0677) == 0600)
		return 0;
	file_put(*file);
	return -EACCES;
}

/* Replace the current process's fs_struct, and return the old one. NULL: use that of kernel threads. */
static struct fs_struct *replace_fs(struct fs_struct *fs)
{
	struct process *p = current_process();
	unsigned long flags = spin_lock_irqsave(&task_list_lock);
	struct fs_struct *old = p->fs;

	p->fs = fs;
	spin_unlock_irqrestore(&task_list_lock, flags);
	return old;
}

/* With suid_dumpable=2 the user must not read the process's memory. So the file belongs to root. The pattern must be
 * a full path, which does not depend on the process's root and working directory. An existing file is not changed. */
static int open_core_as_root(const char *name, struct file **file)
{
	struct cred *c, *old;
	struct fs_struct *fs;
	int err;

	if (name[0] != '/') {
		printk("Pid %d(%s) can only dump core to fully qualified path!\n",
		       current_process()->pid, current->comm);
		printk("Skipping core dump\n");
		return -EPERM;
	}
	c = cred_prepare();
	if (!c)
		return -ENOMEM;
	c->fsuid = 0;
	old = cred_override(c);
	fs = replace_fs(NULL);
	err = open_core(name, file);
	replace_fs(fs);
	cred_override(old);
	cred_put(c);
	return err;
}

static int open_core_for(u8 dumpable, const char *name, struct file **file)
{
	if (dumpable == MM_DUMP_ROOT)
		return open_core_as_root(name, file);
	vfs_unlink(AT_FDCWD, name); /* remove an older one */
	return open_core(name, file);
}

bool core_dump_write(const struct core_dump *core)
{
	struct core_file c = {.limit = rlimit(RLIMIT_CORE)};
	char pattern[CORENAME_MAX], *name = kmalloc(PATH_MAX, GFP_KERNEL);
	bool dumped = false;

	if (!name)
		return false;
	core_pattern_get(pattern);
	if (!core_name(name, PATH_MAX, pattern, core) &&
	    !open_core_for(READ_ONCE(current->mm->dumpable), name, &c.file)) {
		dumped = put_core(&c, core);
		file_put(c.file);
	}
	kfree(name);
	return dumped;
}
