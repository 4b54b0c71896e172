/*
 * prctl(PR_SET_MM): a program sets the addresses of its parts, as is necessary when it is restored from a checkpoint.
 *
 * The addresses are what /proc/PID/stat, cmdline and auxv show, and where brk(2) continues. Nothing is mapped or moved.
 * PR_SET_MM_EXE_FILE is not implemented (EINVAL), nor is exe_fd of PR_SET_MM_MAP, which must be -1.
 *
 * Lock: mmap_lock for writing, which brk(2) takes, too.
 *
 * Source: Linux, kernel/sys.c; PR_SET_MM(2const).
 */
#include "arch/uaccess.h"
#include "kernel/cred.h"
#include "kernel/process.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/virt/vma.h"

enum set_mm {
	SET_START_CODE = 1,
	SET_END_CODE,
	SET_START_DATA,
	SET_END_DATA,
	SET_START_STACK,
	SET_START_BRK,
	SET_BRK,
	SET_ARG_START,
	SET_ARG_END,
	SET_ENV_START,
	SET_ENV_END,
	SET_AUXV,
	SET_EXE_FILE,
	SET_MAP,
	SET_MAP_SIZE,
};

/** Linux's struct prctl_mm_map. */
struct prctl_mm_map {
	u64 start_code, end_code, start_data, end_data, start_brk, brk, start_stack, arg_start,
		arg_end, env_start, env_end;
	u64 auxv; /* user address */
	u32 auxv_size;
	s32 exe_fd;
};
_Static_assert(sizeof(struct prctl_mm_map) == 104, "Linux's ABI");

static void get_map(const struct mm_struct *mm, struct prctl_mm_map *m)
{
	*m = (struct prctl_mm_map){
		.start_code = mm->start_code,
		.end_code = mm->end_code,
		.start_data = mm->start_data,
		.end_data = mm->end_data,
		.start_brk = mm->start_brk,
		.brk = mm->brk,
		.start_stack = mm->start_stack,
		.arg_start = mm->arg_start,
		.arg_end = mm->arg_end,
		.env_start = mm->env_start,
		.env_end = mm->env_end,
		.exe_fd = -1,
	};
}

static void set_map(struct mm_struct *mm, const struct prctl_mm_map *m)
{
	mm->start_code = m->start_code;
	mm->end_code = m->end_code;
	mm->start_data = m->start_data;
	mm->end_data = m->end_data;
	mm->start_brk = m->start_brk;
	mm->brk = m->brk;
	mm->start_stack = m->start_stack;
	mm->arg_start = m->arg_start;
	mm->arg_end = m->arg_end;
	mm->env_start = m->env_start;
	mm->env_end = m->env_end;
}

/* Do the parts lie in user memory, in order, and within RLIMIT_DATA? */
static bool map_valid(const struct prctl_mm_map *m)
{
	const u64 *field = &m->start_code;
	u64 data = rlimit(RLIMIT_DATA);

	for (unsigned int i = 0; i < SET_ENV_END; i++)
		if (field[i] >= TASK_SIZE || field[i] < MMAP_MIN_ADDR)
			return false;
	if (m->start_code >= m->end_code || m->start_data > m->end_data || m->start_brk > m->brk ||
	    m->arg_start > m->arg_end || m->env_start > m->env_end)
		return false;
	return data == ~0ull || (m->brk - m->start_brk) + (m->end_data - m->start_data) <= data;
}

static u64 *field_of(struct prctl_mm_map *m, int what)
{
	switch (what) {
	case SET_START_CODE:
		return &m->start_code;
	case SET_END_CODE:
		return &m->end_code;
	case SET_START_DATA:
		return &m->start_data;
	case SET_END_DATA:
		return &m->end_data;
	case SET_START_STACK:
		return &m->start_stack;
	case SET_START_BRK:
		return &m->start_brk;
	case SET_BRK:
		return &m->brk;
	case SET_ARG_START:
		return &m->arg_start;
	case SET_ARG_END:
		return &m->arg_end;
	case SET_ENV_START:
		return &m->env_start;
	case SET_ENV_END:
		return &m->env_end;
	}
	return NULL;
}

/* Must something be mapped at the address? It must be for the program's strings. */
static bool needs_mapping(int what)
{
	return what == SET_START_STACK || (what >= SET_ARG_START && what <= SET_ENV_END);
}

static long set_field(struct mm_struct *mm, int what, unsigned long addr)
{
	struct prctl_mm_map m;
	long err = -EINVAL;
	u64 *field;

	if (addr >= TASK_SIZE || addr < MMAP_MIN_ADDR)
		return -EINVAL;
	down_write(&mm->mmap_lock);
	get_map(mm, &m);
	field = field_of(&m, what);
	if (!field)
		goto out;
	*field = addr;
	if (!map_valid(&m))
		goto out;
	err = needs_mapping(what) && !find_vma(mm, addr) ? -EFAULT : 0;
	if (!err)
		set_map(mm, &m);
out:
	up_write(&mm->mmap_lock);
	return err;
}

/* Replace the auxiliary vector. Its last pair is always AT_NULL. */
static long set_auxv(struct mm_struct *mm, unsigned long addr, unsigned long len)
{
	u64 auxv[ARRAY_SIZE(mm->saved_auxv)] = {0};

	if (len > sizeof(auxv))
		return -EINVAL;
	if (copy_from_user(auxv, addr, len))
		return -EFAULT;
	auxv[ARRAY_SIZE(auxv) - 2] = auxv[ARRAY_SIZE(auxv) - 1] = 0;
	down_write(&mm->mmap_lock);
	memcpy(mm->saved_auxv, auxv, sizeof(auxv));
	up_write(&mm->mmap_lock);
	return 0;
}

static long set_whole(struct mm_struct *mm, unsigned long addr, unsigned long size)
{
	struct prctl_mm_map m;
	long err;

	if (size != sizeof(m))
		return -EINVAL;
	if (copy_from_user(&m, addr, sizeof(m)))
		return -EFAULT;
	if (!map_valid(&m) || m.exe_fd != -1)
		return -EINVAL;
	if (m.auxv_size) {
		if (!m.auxv)
			return -EINVAL;
		err = set_auxv(mm, m.auxv, m.auxv_size);
		if (err)
			return err;
	}
	down_write(&mm->mmap_lock);
	set_map(mm, &m);
	up_write(&mm->mmap_lock);
	return 0;
}

long prctl_set_mm(struct pt_regs *r)
{
	struct mm_struct *mm = current->mm;
	const int what = (int)r->rsi;
	const u32 size = sizeof(struct prctl_mm_map);

	if (r->r8 || (r->r10 && what != SET_AUXV && what != SET_MAP && what != SET_MAP_SIZE))
		return -EINVAL;
	if (what == SET_MAP_SIZE)
		return copy_to_user(r->rdx, &size, sizeof(size)) ? -EFAULT : 0;
	if (what == SET_MAP)
		return set_whole(mm, r->rdx, r->r10);
	if (!capable(CAP_SYS_RESOURCE))
		return -EPERM;
	return what == SET_AUXV ? set_auxv(mm, r->rdx, r->r10) : set_field(mm, what, r->rdx);
}
