/*
 * Loading an ELF program: check the file, map its segments, build the stack.
 *
 * fs/exec/program.c has opened the program. If it names an interpreter (PT_INTERP: the dynamic linker), that
 * is mapped, too. The interpreter runs first and finds the program by the auxiliary vector.
 *
 * The program is loaded into the current, empty address space. Each segment is a private mapping of the file,
 * which is read when it is accessed. The part of a segment after the file's data is anonymous memory.
 *
 *   stack, from the top:  file name, 16 random bytes, platform, strings of argv and environment
 *                         auxv, NULL, environment, NULL, argv, argc  <- rsp, 16-aligned
 *
 * Sources: System V ABI AMD64 supplement 3.4 (process initialisation); <linux/elf.h>.
 */
#include <linux/elf.h>
#include <linux/auxvec.h>

#include "fs/internal.h"
#include "lib/syscall.h"
#include "kernel/cred.h"
#include "kernel/process.h"
#include "kernel/vdso.h"
#include "fs/exec/program.h"
#include "fs/user_path.h"
#include "arch/processor.h"
#include "arch/uaccess.h"
#include "kernel/cgroup.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/virt/aslr.h"
#include "mm/virt/mm.h"
#include "mm/slab/slab.h"
#include "mm/kvirt/vmalloc.h"
#include "mmvm/layout.h"

#define STACK_INITIAL (128ul << 10)
#define MAX_PHDRS     64

struct image {
	struct program *prog;
	const Elf64_Ehdr *eh;
	Elf64_Phdr *ph;	    /* a copy */
	unsigned long bias; /* 0, or the address of a position-independent program */
	unsigned long phdr_addr, entry, end;
	bool is_interpreter;
	struct cred *cred;	   /* the program's credentials */
	bool secure;		   /* AT_SECURE: it has more rights than its caller */
	u64 interp_at, interp_len; /* PT_INTERP's name in the file; len 0: none */
	struct mm_layout layout;
};

static bool is_our_elf(const Elf64_Ehdr *eh, size_t size)
{
	return size >= sizeof(*eh) && !memcmp(eh->e_ident, ELFMAG, SELFMAG) &&
	       eh->e_ident[EI_CLASS] == ELFCLASS64 && eh->e_ident[EI_DATA] == ELFDATA2LSB &&
	       eh->e_machine == EM_X86_64 && (eh->e_type == ET_EXEC || eh->e_type == ET_DYN) &&
	       eh->e_phentsize == sizeof(Elf64_Phdr) && eh->e_phnum && eh->e_phnum <= MAX_PHDRS;
}

/* Read and check the headers, into im->eh and im->ph. 0, or -errno: it cannot be loaded. */
static int image_check(struct image *im)
{
	u64 size = im->prog->file->mapping->size;
	int err;

	im->eh = (const void *)im->prog->head;
	if (!is_our_elf(im->eh, im->prog->head_len))
		return -ENOEXEC;
	err = program_read(im->prog, im->ph, im->eh->e_phnum * sizeof(*im->ph), im->eh->e_phoff);
	if (err)
		return err;
	for (unsigned int i = 0; i < im->eh->e_phnum; i++) {
		const Elf64_Phdr *p = &im->ph[i];

		if (p->p_type == PT_INTERP && !im->is_interpreter) {
			if (p->p_filesz < 2 || p->p_filesz > PATH_MAX)
				return -ENOEXEC;
			im->interp_at = p->p_offset;
			im->interp_len = p->p_filesz;
		}
		if (p->p_type != PT_LOAD)
			continue;
		if (p->p_filesz > p->p_memsz || p->p_offset > size ||
		    size - p->p_offset < p->p_filesz || p->p_vaddr >= TASK_SIZE ||
		    p->p_memsz > TASK_SIZE - p->p_vaddr)
			return -ENOEXEC;
	}
	if (im->is_interpreter)
		return im->eh->e_type == ET_DYN ? 0 : -ENOEXEC; /* at any address */
	im->bias = im->eh->e_type == ET_DYN ? im->layout.pie_base : 0;
	return 0;
}

static int segment_prot(const Elf64_Phdr *p)
{
	return (p->p_flags & PF_R ? PROT_READ : 0) | (p->p_flags & PF_W ? PROT_WRITE : 0) |
	       (p->p_flags & PF_X ? PROT_EXEC : 0);
}

static int prepare(struct map_source *src, unsigned long vm_flags)
{
	struct file *instead = NULL;
	int err = src->file->ops->mmap(src->file, vm_flags, &instead);

	if (!err && instead) {
		file_put(instead); /* /dev/zero and similar files are no programs */
		err = -ENODEV;
	}
	return err;
}

static int map_segment(struct mm_struct *mm, struct image *im, const Elf64_Phdr *p)
{
	unsigned long vaddr = im->bias + p->p_vaddr;
	unsigned long start = vaddr & PAGE_MASK;
	unsigned long end = ALIGN_UP(vaddr + p->p_memsz, PAGE_SIZE);
	unsigned long file_end, map_end;
	struct file *f = im->prog->file;
	int prot = segment_prot(p);
	long got;

	if (!p->p_memsz)
		return 0;
	if (end > TASK_SIZE)
		return -ENOEXEC;
	file_end = vaddr + p->p_filesz;
	map_end = ALIGN_UP(file_end, PAGE_SIZE);
	if (p->p_filesz) {
		/* Pages of the file are mapped, so address and offset must be equal within a page. */
		if ((vaddr ^ p->p_offset) & ~PAGE_MASK)
			return -ENOEXEC;
		got = do_mmap_file(mm, start, map_end - start, prot,
				   MAP_PRIVATE | MAP_FIXED_NOREPLACE, p->p_offset >> PAGE_SHIFT,
				   &(struct map_source){.file = f,
							.mapping = f->mapping,
							.readable = true,
							.prepare = f->ops->mmap ? prepare : NULL});
		if (got < 0)
			return got == -EEXIST || got == -ENODEV ? -ENOEXEC : (int)got;
	} else {
		map_end = start;
	}
	/* The last page of the file's data also holds the first bytes of bss, which are zero. */
	if (p->p_memsz > p->p_filesz && p->p_flags & PF_W && p->p_filesz &&
	    clear_user(file_end, map_end - file_end))
		return -ENOMEM;
	if (end > map_end) {
		got = do_mmap(mm, map_end, end - map_end, prot,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, 0);
		if (got < 0)
			return got == -EEXIST ? -ENOEXEC : (int)got;
	}
	im->end = max(im->end, end);
	if (im->is_interpreter)
		return 0;
	if (p->p_flags & PF_X) {
		mm->start_code = vaddr;
		mm->end_code = vaddr + p->p_filesz;
	} else if (p->p_flags & PF_W) {
		mm->start_data = vaddr;
		mm->end_data = vaddr + p->p_filesz;
	}
	/* The address of the program headers: they are in this segment. */
	if (im->eh->e_phoff >= p->p_offset && im->eh->e_phoff - p->p_offset < p->p_filesz)
		im->phdr_addr = vaddr + (im->eh->e_phoff - p->p_offset);
	return 0;
}

/* A stack that is built downwards. The first error is kept, so it is checked once at the end. */
struct builder {
	unsigned long sp;
	bool failed;
};

static unsigned long push_bytes(struct builder *b, const void *data, size_t n)
{
	b->sp -= n;
	b->failed |= copy_to_user(b->sp, data, n) != 0;
	return b->sp;
}

static void put_word(struct builder *b, unsigned long *at, u64 word)
{
	b->failed |= copy_to_user(*at, &word, sizeof(word)) != 0;
	*at += sizeof(word);
}

/* `base`: address of the interpreter, or 0. `vdso`: address of the image, or 0. */
static int build_stack(struct mm_struct *mm, struct image *im, const struct exec_args *args,
		       unsigned long base, unsigned long vdso, unsigned long *sp)
{
	struct builder b = {.sp = im->layout.stack_top - 16};
	u64 random[2] = {get_random_u64(), get_random_u64()};
	unsigned long random_addr, path_addr, platform, strings, at;
	u32 words, i, n;
	int err;

	/* Room for strings, pointers and vector, and for the program's first use. */
	err = mm_setup_stack(
		mm, im->layout.stack_top,
		STACK_INITIAL + ALIGN_UP(args->len + (args->argc + args->envc) * 8ul, PAGE_SIZE));
	if (err)
		return err;
	mm->start_stack = im->layout.stack_top;

	path_addr = push_bytes(&b, args->path, strlen(args->path) + 1);
	random_addr = push_bytes(&b, random, sizeof(random));
	platform = push_bytes(&b, "x86_64", 7);
	strings = push_bytes(&b, args->strings, args->len);
	b.sp -= im->layout.stack_skew;
	{
		const u64 aux[][2] = {
			{AT_SYSINFO_EHDR, vdso}, /* first, so that it can be left out */
			{AT_MINSIGSTKSZ, SIGFRAME_SIZE},
			{AT_HWCAP, arch_hwcap()},
			{AT_PAGESZ, PAGE_SIZE},
			{AT_CLKTCK, 100},
			{AT_PHDR, im->phdr_addr},
			{AT_PHENT, sizeof(Elf64_Phdr)},
			{AT_PHNUM, im->eh->e_phnum},
			{AT_BASE, base},
			{AT_FLAGS, 0},
			{AT_ENTRY, im->entry},
			{AT_UID, im->cred->uid},
			{AT_EUID, im->cred->euid},
			{AT_GID, im->cred->gid},
			{AT_EGID, im->cred->egid},
			{AT_SECURE, im->secure},
			{AT_RANDOM, random_addr},
			{AT_HWCAP2, 0},
			{AT_EXECFN, path_addr},
			{AT_PLATFORM, platform},
			{AT_NULL, 0},
		};

		const unsigned int first = vdso ? 0 : 1;
		const size_t aux_bytes = sizeof(aux) - first * sizeof(aux[0]);

		/* argc, the two lists with their ends, and the vector. */
		words = 1 + args->argc + 1 + args->envc + 1;
		b.sp = ALIGN_DOWN(b.sp, 16) - ALIGN_UP(words * sizeof(u64) + aux_bytes, 16);
		at = b.sp;
		put_word(&b, &at, args->argc);
		mm->arg_start = strings;
		mm->arg_end = mm->env_start = mm->env_end = strings + args->len;
		for (i = n = 0; i < args->len; i += strlen(args->strings + i) + 1) {
			if (n++ == args->argc) {
				put_word(&b, &at, 0);
				mm->arg_end = mm->env_start = strings + i;
			}
			put_word(&b, &at, strings + i);
		}
		if (!args->envc)
			put_word(&b, &at, 0);
		put_word(&b, &at, 0);
		b.failed |= copy_to_user(at, aux[first], aux_bytes) != 0;
		_Static_assert(sizeof(aux) <= sizeof(mm->saved_auxv), "it fits");
		memcpy(mm->saved_auxv, aux[first], aux_bytes);
	}
	*sp = b.sp;
	return b.failed ? -ENOMEM : 0;
}

static void pick_layout(struct mm_struct *mm, struct mm_layout *layout)
{
	bool off = current_process()->personality & ADDR_NO_RANDOMIZE;
	u64 random[NR_LAYOUT_RANDOM];

	for (unsigned int i = 0; i < NR_LAYOUT_RANDOM; i++)
		random[i] = get_random_u64();
	mm_pick_layout(layout, rlimit(RLIMIT_STACK), off ? 0 : sysctl_randomize_va_space, random);
	mm->mmap_base = layout->mmap_base;
}

static int map_segments(struct mm_struct *mm, struct image *im)
{
	int err = 0;

	for (unsigned int i = 0; !err && i < im->eh->e_phnum; i++) {
		if (im->ph[i].p_type == PT_LOAD)
			err = map_segment(mm, im, &im->ph[i]);
	}
	if (err)
		return err;
	im->entry = im->bias + im->eh->e_entry;
	return im->end && im->entry < TASK_SIZE ? 0 : -ENOEXEC;
}

/* Find an address at which all segments of the interpreter fit, for im->bias. 0 or -ENOMEM. */
static int find_room(struct mm_struct *mm, struct image *im)
{
	unsigned long first = ~0ul, end = 0;
	long at;

	for (unsigned int i = 0; i < im->eh->e_phnum; i++) {
		const Elf64_Phdr *p = &im->ph[i];

		if (p->p_type != PT_LOAD)
			continue;
		first = min(first, (unsigned long)p->p_vaddr & PAGE_MASK);
		end = max(end, ALIGN_UP(p->p_vaddr + p->p_memsz, PAGE_SIZE));
	}
	if (first >= end)
		return -ENOEXEC;
	at = do_mmap(mm, 0, end - first, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, 0);
	if (at < 0)
		return at;
	im->bias = at - first;
	return do_munmap(mm, at, end - first);
}

/* Map the program's interpreter. *ld receives its entry and bias. */
static int load_interpreter(struct mm_struct *mm, const struct image *im, struct image *ld)
{
	struct program *prog = kmalloc(sizeof(*prog), GFP_KERNEL);
	char *path = kmalloc(im->interp_len, GFP_KERNEL);
	int err = -ENOMEM;

	ld->is_interpreter = true;
	ld->ph = kmalloc(MAX_PHDRS * sizeof(*ld->ph), GFP_KERNEL);
	if (!prog || !path || !ld->ph)
		goto free;
	err = program_read(im->prog, path, im->interp_len, im->interp_at);
	if (!err && path[im->interp_len - 1])
		err = -ENOEXEC;
	if (!err)
		err = program_open_plain(prog, path);
	if (err)
		goto free;
	ld->prog = prog;
	err = image_check(ld);
	if (err == -ENOEXEC)
		err = -ELIBBAD;
	if (!err)
		err = find_room(mm, ld);
	if (!err)
		err = map_segments(mm, ld);
	program_close(prog);
free:
	ld->prog = NULL;
	kfree(ld->ph);
	kfree(path);
	kfree(prog);
	return err;
}

static int load_image(struct mm_struct *mm, struct image *im, unsigned long *entry,
		      unsigned long *sp)
{
	struct image ld = {0};
	unsigned long vdso;
	int err;

	pick_layout(mm, &im->layout);
	err = image_check(im);
	if (!err)
		err = map_segments(mm, im);
	if (err)
		return err;
	mm->start_brk = im->end + im->layout.brk_gap;
	mm->brk = mm->start_brk;
	if (im->interp_len)
		err = load_interpreter(mm, im, &ld);
	if (!err)
		err = vdso_map(mm, im->layout.stack_top, im->layout.vdso_random, &vdso);
	if (!err)
		err = build_stack(mm, im, &im->prog->args, ld.bias, vdso, sp);
	if (err)
		return err;
	*entry = im->interp_len ? ld.entry : im->entry;
	return 0;
}

/* A program that has more rights than its user, or that the user may not read, is not dumpable. */
static u8 dumpable_of(const struct program *prog, bool secure)
{
	const struct cred *me = current_cred();

	if (secure || me->euid != me->uid || me->egid != me->gid ||
	    inode_permission(prog->file->inode, MAY_READ))
		return (u8)sysctl_suid_dumpable;
	return MM_DUMP_USER;
}

static struct program_owner program_owner(const struct file *f)
{
	u32 mode = READ_ONCE(f->inode->mode);

	if (f->path.mnt->flags & MS_NOSUID)
		mode &= ~(S_ISUID | S_ISGID);
	return (struct program_owner){f->inode->uid, f->inode->gid, mode};
}

int exec_load(const struct exec_args *args, unsigned long *entry, unsigned long *sp,
	      struct cred **cred)
{
	struct program_owner owner;
	struct program *prog;
	struct image im = {0};
	int err;

	prog = kmalloc(sizeof(*prog), GFP_KERNEL);
	im.ph = kmalloc(MAX_PHDRS * sizeof(*im.ph), GFP_KERNEL);
	err = prog && im.ph ? program_open(prog, args) : -ENOMEM;
	if (err)
		goto free;
	im.prog = prog;
	owner = program_owner(prog->file);
	im.cred = cred_for_exec(&owner, &im.secure);
	err = im.cred ? exe_file_get(prog->file) : -ENOMEM;
	if (!err) {
		err = load_image(current->mm, &im, entry, sp);
		if (err)
			exe_file_put(prog->file);
		else
			mm_set_exe_file(current->mm, prog->file);
		current->mm->dumpable = dumpable_of(prog, im.secure);
	}
	if (err)
		cred_put(im.cred);
	*cred = err ? NULL : im.cred;
	program_close(prog);
free:
	kfree(im.ph);
	kfree(prog);
	return err;
}
