/*
 * What a run in the lab is given: its job for init, and files.
 *
 * Live: folders of this machine, shared by 9p. The system's (/usr, /etc ...) and the build's can only be
 * read. The working folder and those of files that the command line or the environment of mmvm names can
 * be written. Everything else of this machine is not there.
 *
 * Sealed: copies in the archive, of the program, the build's files and what the command line names. The
 * folders of files that may come back are shared after the command has ended.
 */
#include "lab/job.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

extern char **environ;

/* ---- shares --------------------------------------------------------------------------------- */

/** Is `path` the folder or in it? */
static bool is_below(const char *path, const char *folder)
{
	size_t len = strlen(folder);

	if (!strcmp(folder, "/"))
		return true;
	return !strncmp(path, folder, len) && (path[len] == '/' || !path[len]);
}

enum share_mode { SHARE_READ_ONLY, SHARE_WRITABLE };

/** Share a folder. One that a share of the same rights contains is there already. */
static int add_share(struct job *job, const char *folder, enum share_mode mode,
		     struct mmvm_error *err)
{
	char *real = realpath(folder, NULL);
	struct stat st;

	if (!real || stat(real, &st) || !S_ISDIR(st.st_mode)) {
		free(real);
		return 0;
	}
	/* The lab has its own. */
	if (is_below(real, "/proc") || is_below(real, "/sys") || is_below(real, "/dev"))
		goto out;
	/* Never all of this machine: files that lie there can be read. */
	if (!strcmp(real, "/"))
		mode = SHARE_READ_ONLY;
	for (unsigned int i = 0; i < job->nr_shares; i++) {
		struct lab_share *s = &job->share[i];

		if (is_below(real, s->path) && (s->writable || mode != SHARE_WRITABLE))
			goto out;
		if (!strcmp(real, s->path)) {
			s->writable |= mode == SHARE_WRITABLE;
			goto out;
		}
	}
	if (job->nr_shares == LAB_SHARES) {
		free(real);
		return mmvm_error(err, MMVM_EXIT_USAGE,
				  "files in more than %d folders are named: the lab shares no more",
				  LAB_SHARES);
	}
	job->share[job->nr_shares++] = (struct lab_share){real, mode == SHARE_WRITABLE};
	return 0;
out:
	free(real);
	return 0;
}

/** The folder of a file that exists or may be made. */
static int share_folder_of(struct job *job, const char *path, enum share_mode mode,
			   struct mmvm_error *err)
{
	char folder[PATH_MAX];
	struct stat st;
	char *slash;

	if (snprintf(folder, sizeof(folder), "%s%s%s", path[0] == '/' ? "" : job->cwd,
		     path[0] == '/' ? "" : "/", path) >= (int)sizeof(folder))
		return 0;
	if (!stat(folder, &st) && S_ISBLK(st.st_mode) && is_below(folder, "/dev"))
		return mmvm_error(
			err, MMVM_EXIT_USAGE,
			"%s: a block device cannot be used in the lab; use --accel kvm or "
			"a file",
			path);
	if (!stat(folder, &st) && S_ISDIR(st.st_mode))
		return add_share(job, folder, mode, err);
	slash = strrchr(folder, '/');
	slash[slash == folder] = 0;
	return add_share(job, folder, mode, err);
}

/** The file's name in a word of a command line: the word, or what follows "--option=". */
static const char *file_word(const char *word)
{
	const char *value = strchr(word, '=');

	if (word[0] != '-')
		return word;
	return value ? value + 1 : NULL;
}

/** Is what follows this option only read? */
static bool is_input(const char *option)
{
	static const char *const inputs[] = {"--kernel", "--initrd", "--exec", "--baseline"};

	for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++)
		if (!strcmp(option, inputs[i]))
			return true;
	return false;
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct lab_share *)a)->path, ((const struct lab_share *)b)->path);
}

struct share_libraries {
	struct job *job;
	struct mmvm_error *err;
	int rc;
};

static int share_library(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct share_libraries *s = arg;

	if (info->dlpi_name[0] == '/' && !s->rc)
		s->rc = share_folder_of(s->job, info->dlpi_name, SHARE_READ_ONLY, s->err);
	return 0;
}

/** Every folder that a live run may need. */
static int add_shares(struct job *job, const char *self, int argc, char **argv,
		      struct mmvm_error *err)
{
	static const char *const system[] = {"/usr", "/etc", "/bin", "/sbin", "/lib", "/lib64"};
	struct share_libraries libraries = {job, err, 0};
	struct stat st;
	int rc = 0;

	for (size_t i = 0; i < sizeof(system) / sizeof(system[0]) && !rc; i++)
		/* init makes links where they are links */
		if (!lstat(system[i], &st) && S_ISDIR(st.st_mode))
			rc = add_share(job, system[i], SHARE_READ_ONLY, err);
	if (!rc)
		rc = add_share(job, job->cwd, SHARE_WRITABLE, err);
	if (!rc)
		rc = share_folder_of(job, self, SHARE_READ_ONLY, err);
	if (!rc) {
		dl_iterate_phdr(share_library, &libraries);
		rc = libraries.rc;
	}
	for (char **v = environ; *v && !rc; v++) {
		const char *value = strncmp(*v, "MMVM_", 5) ? NULL : strchr(*v, '=');

		if (value && value[1] == '/')
			rc = share_folder_of(job, value + 1, SHARE_WRITABLE, err);
	}
	for (int i = 0; i < argc && !rc; i++) {
		const char *word = file_word(argv[i]);

		/* What follows is the guest's. */
		if (!strcmp(argv[0], self) && !strcmp(argv[i], "--"))
			break;
		/* A bare name lies in the working folder, or is no file. */
		if (word && strchr(word, '/'))
			rc = share_folder_of(job, word,
					     i && !is_input(argv[i - 1]) ? SHARE_WRITABLE
									 : SHARE_READ_ONLY,
					     err);
	}
	return rc;
}

/* ---- the job -------------------------------------------------------------------------------- */

static void put_string(struct job *job, const char *s)
{
	fwrite(s, 1, strlen(s) + 1, job->text);
}

static void put_count(struct job *job, unsigned int n)
{
	fprintf(job->text, "%u%c", n, 0);
}

/** Variables that change what a program does, and none that name this machine's moment. */
static bool wanted_variable(const char *v)
{
	static const char *const want[] = {
		"PATH=",	  "HOME=",	   "USER=",	     "LOGNAME=",  "TERM=",
		"LANG=",	  "TZ=",	   "COLUMNS=",	     "NO_COLOR=", "ASAN_OPTIONS=",
		"UBSAN_OPTIONS=", "LSAN_OPTIONS=", "GLIBC_TUNABLES="};

	if (!strncmp(v, "LC_", 3) || !strncmp(v, "MMVM_", 5))
		return true;
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		if (!strncmp(v, want[i], strlen(want[i])))
			return true;
	}
	return false;
}

static void put_environment(struct job *job)
{
	unsigned int n = 2;
	char **v;

	for (v = environ; *v; v++)
		n += wanted_variable(*v);
	put_count(job, n);
	for (v = environ; *v; v++) {
		if (wanted_variable(*v))
			put_string(job, *v);
	}
	put_string(job, job->sealed ? LAB_INSIDE_ENV "=icount" : LAB_INSIDE_ENV "=svm");
	/* temporary files in memory: 9p has no O_TMPFILE, and is slow */
	put_string(job, "TMPDIR=/dev/shm");
}

/** Put a file into a sealed run's archive under the name it has here. */
static void seal_file(struct job *job, const char *path)
{
	char inside[PATH_MAX];

	if (snprintf(inside, sizeof(inside), "/host%s", path) < (int)sizeof(inside))
		archive_add_file(&job->archive, inside, path);
}

static int seal_library(struct dl_phdr_info *info, size_t size, void *arg)
{
	/* the program itself has no name, the vDSO no file */
	if (info->dlpi_name[0] == '/')
		seal_file(arg, info->dlpi_name);
	return 0;
}

/** Seal the regular files of a folder of the build, in the order of their names. */
static void seal_folder(struct job *job, const char *self, const char *name)
{
	char folder[PATH_MAX], path[PATH_MAX];
	struct dirent **list;
	struct stat st;
	int n;

	if (snprintf(folder, sizeof(folder), "%.*s/%s", (int)(strrchr(self, '/') - self), self,
		     name) >= (int)sizeof(folder))
		return;
	n = scandir(folder, &list, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		if (snprintf(path, sizeof(path), "%s/%s", folder, list[i]->d_name) <
			    (int)sizeof(path) &&
		    !stat(path, &st) && S_ISREG(st.st_mode))
			seal_file(job, path);
		free(list[i]);
	}
	if (n >= 0)
		free(list);
}

/**
 * A word of the command line, when it is or holds ("--json=FILE", "FILE,option") a file's name: the
 * file goes in if it exists, and comes back if the run writes it.
 */
static void seal_word(struct job *job, const char *word)
{
	char path[PATH_MAX], *slash;
	struct stat st;

	word = file_word(word);
	if (!word || !*word ||
	    snprintf(path, sizeof(path), "%s%s%s", word[0] == '/' ? "" : job->cwd,
		     word[0] == '/' ? "" : "/", word) >= (int)sizeof(path))
		return;
	if (!stat(path, &st)) {
		if (!S_ISREG(st.st_mode))
			return;
		seal_file(job, path);
	} else {
		/* a file to be made needs its folder */
		char inside[PATH_MAX + 8];

		slash = strrchr(path, '/');
		*slash = 0;
		if (*path && (stat(path, &st) || !S_ISDIR(st.st_mode)))
			return;
		snprintf(inside, sizeof(inside), "/host%s", path);
		archive_add_folder(&job->archive, inside);
		*slash = '/';
	}
	if (job->nr_hand_back < LAB_HAND_BACK)
		job->hand_back[job->nr_hand_back++] = strdup(path);
}

/** Write what the run is into an archive behind the image. Returns 0, or -1 with `err`. */
int job_prepare(struct job *job, const struct lab_files *files, int argc, char **argv,
		const struct lab_options *opt, struct mmvm_error *err)
{
	static const char *const input[] = {"none", "pipe", "tty"};
	const bool sealed = opt->icount;
	char self[PATH_MAX], inside[PATH_MAX + 8], *text = NULL;
	uint64_t random[2];
	size_t len;
	ssize_t n;
	int rc, i;

	memset(job, 0, sizeof(*job));
	job->sealed = sealed;
	job->archive.fd = -1;
	if (!getcwd(job->cwd, sizeof(job->cwd)))
		return mmvm_error(err, MMVM_EXIT_HOST, "the current folder is gone: %s",
				  strerror(errno));
	rc = archive_open(&job->archive, files->initrd);
	if (rc)
		return mmvm_error(err, MMVM_EXIT_HOST, "cannot read %s: %s", files->initrd,
				  strerror(-rc));
	n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	self[n < 0 ? 0 : n] = 0;
	if (!sealed && add_shares(job, self, argc, argv, err))
		return -1;
	if (sealed) {
		snprintf(inside, sizeof(inside), "/host%s", job->cwd);
		archive_add_folder(&job->archive, inside);
		dl_iterate_phdr(seal_library, job);
		if (strchr(self, '/')) {
			seal_folder(job, self, "images");
			seal_folder(job, self, "user");
		}
		for (const char *const *f = opt->files; f && *f; f++)
			seal_file(job, *f);
		for (i = 0; i < argc; i++)
			seal_word(job, argv[i]);
		for (i = 0; i < (int)job->nr_hand_back; i++)
			if (share_folder_of(job, job->hand_back[i], SHARE_WRITABLE, err))
				return -1;
	}
	/* Those that contain others come first. */
	qsort(job->share, job->nr_shares, sizeof(job->share[0]), by_path);

	job->text = open_memstream(&text, &len);
	if (!job->text)
		return mmvm_error(err, MMVM_EXIT_HOST, "out of memory");
	put_string(job, sealed ? "sealed" : "live");
	put_string(job, input[opt->input]);
	put_string(job, job->cwd);
	put_count(job, (unsigned int)argc);
	for (i = 0; i < argc; i++)
		put_string(job, argv[i]);
	put_environment(job);
	put_count(job, job->nr_hand_back);
	for (i = 0; i < (int)job->nr_hand_back; i++)
		put_string(job, job->hand_back[i]);
	/* From here: inside, where instructions are counted, nothing is random. */
	if (getrandom(random, sizeof(random), 0) != sizeof(random)) {
		fclose(job->text);
		free(text);
		return mmvm_error(err, MMVM_EXIT_HOST, "no random numbers: %s", strerror(errno));
	}
	fprintf(job->text, "%016" PRIx64 "%016" PRIx64 "%c", random[0], random[1], 0);
	put_count(job, job->nr_shares * 2);
	for (i = 0; i < (int)job->nr_shares; i++) {
		put_string(job, job->share[i].writable ? "rw" : "ro");
		put_string(job, job->share[i].path);
	}
	fclose(job->text);
	archive_add(&job->archive, "/job", 0600, text, len);
	free(text);
	rc = archive_finish(&job->archive);
	if (rc)
		return mmvm_error(err, MMVM_EXIT_HOST, "cannot prepare the lab's files: %s",
				  strerror(-rc));
	return 0;
}

void job_free(struct job *job)
{
	archive_close(&job->archive);
	for (unsigned int i = 0; i < job->nr_hand_back; i++)
		free(job->hand_back[i]);
	for (unsigned int i = 0; i < job->nr_shares; i++)
		free(job->share[i].path);
}
