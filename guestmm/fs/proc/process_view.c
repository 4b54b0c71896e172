/*
 * Inspecting another process.
 *
 * While task_list_lock is held, a process has its files and directories, or it has ended. References that are
 * taken then keep them valid after the lock is released.
 *
 * Locks: task_list_lock, and inside it nothing.
 */
#include "fs/proc/process_view.h"
#include "lib/errno.h"
#include "mm/virt/mm.h"

static struct files *get_files(int pid)
{
	unsigned long flags = spin_lock_irqsave(&task_list_lock);
	struct process *p = find_process(pid);
	struct files *files = p ? p->files : NULL;

	if (files)
		files_get(files);
	spin_unlock_irqrestore(&task_list_lock, flags);
	return files;
}

struct file *process_get_file(int pid, u32 fd)
{
	struct files *files = get_files(pid);
	struct file *f;

	if (!files)
		return NULL;
	f = files_lookup(files, fd);
	files_put(files);
	return f;
}

bool process_fd_cloexec(int pid, u32 fd)
{
	struct files *files = get_files(pid);
	bool on;

	if (!files)
		return false;
	on = files_cloexec(files, fd);
	files_put(files);
	return on;
}

u32 process_fd_end(int pid)
{
	struct files *files = get_files(pid);
	u32 end;

	if (!files)
		return 0;
	end = files_end(files);
	files_put(files);
	return end;
}

struct file *process_get_exe(int pid)
{
	struct mm_struct *mm = process_get_mm(pid);
	struct file *f;

	if (!mm)
		return NULL;
	f = mm->exe_file;
	if (f)
		file_get(f);
	mmput(mm);
	return f;
}

int process_get_place(int pid, enum fs_place place, struct path *path)
{
	unsigned long flags = spin_lock_irqsave(&task_list_lock);
	struct process *p = find_process(pid);
	struct fs_struct *fs = p ? p->fs : NULL;

	if (fs)
		fs_get(fs);
	spin_unlock_irqrestore(&task_list_lock, flags);
	if (!fs)
		return -ESRCH;
	fs_get_place(fs, place, path);
	fs_put(fs);
	return 0;
}
