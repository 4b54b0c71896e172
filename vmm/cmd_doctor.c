/*
 * mmvm doctor: what this host can do, by trying it, and what each missing thing costs.
 *
 * Every line says what was found and, when something is missing, what the user loses and what to do
 * about it. Exits 0 when a machine can be run here, directly or in the lab, and 3 when not.
 */
#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "cli/cli.h"
#include "commands.h"
#include "kvm/kvm.h"
#include "lab/lab.h"
#include "observe/access.h"

#define CAP(name) KVM_CAP_##name, #name

/** Every KVM capability that mmvm uses. `cost`: what the user loses without it. */
static const struct need {
	int cap;
	const char *name;
	bool required;
	const char *cost;
} needs[] = {
	{CAP(USER_MEMORY), true, "no guest RAM: mmvm cannot run directly"},
	{CAP(IRQCHIP), true, "no interrupts: mmvm cannot run directly"},
	{CAP(IRQFD), true, "devices cannot interrupt: mmvm cannot run directly"},
	{CAP(IOEVENTFD), true, "no doorbells: mmvm cannot run directly"},
	{CAP(IMMEDIATE_EXIT), true, "no clean stop: mmvm cannot run directly"},
	{CAP(EXT_CPUID), true, "the guest's CPUID is unknown: mmvm cannot run directly"},
	{CAP(NR_MEMSLOTS), true, "no memory slots: mmvm cannot run directly"},
	{CAP(MANUAL_DIRTY_LOG_PROTECT2), false,
	 "collecting dirty pages protects all of RAM at once: samples cost more"},
	{CAP(BINARY_STATS_FD), false, "no second-stage faults and page sizes in the results"},
	{CAP(GET_TSC_KHZ), false, "the guest calibrates its clock itself, times are less exact"},
	{CAP(TSC_DEADLINE_TIMER), false, "guest timers use the APIC's counter"},
	{CAP(NR_VCPUS), false, "the number of CPUs advised is not known"},
	{CAP(SET_TSS_ADDR), false, "needed on Intel hosts only"},
};

/** Print one line: state, name, value, remark. */
static void line(const char *state, const char *name, const char *value, const char *remark)
{
	printf("  %-4s %-28s %s%s%s\n", state, name, value, *remark ? "  " : "", remark);
}

static bool doctor_device(struct kvm_system *sys)
{
	const char *path = kvm_device_path();
	int rc = kvm_system_open(sys);

	if (!rc) {
		line("ok", path, "opens", "");
		return true;
	}
	line("NO", path, strerror(-rc),
	     rc == -EACCES || rc == -EPERM
		     ? "join its group (usually `usermod -aG kvm $USER`), then log in again"
		     : "load the kvm module and turn on virtualization (in firmware, or for this "
		       "VM); until then only the lab runs");
	return false;
}

static void doctor_backend(enum kvm_backend backend)
{
	static const char *const remark[] = {
		[KVM_BACKEND_NONE] = "no VMX, SVM or PVM",
		[KVM_BACKEND_VMX] = "Intel hardware: everything runs at full speed",
		[KVM_BACKEND_SVM] = "AMD hardware: everything runs at full speed",
		[KVM_BACKEND_PVM] = ("guest ring 0 is emulated, about 1 us an instruction; user "
				     "mode is native. --accel auto takes the lab"),
	};

	/* What the module or the processor offers is of no use without the device. */
	if (backend != KVM_BACKEND_NONE && access(kvm_device_path(), F_OK)) {
		char text[96];

		snprintf(text, sizeof(text), "%s could be one, but there is no %s",
			 kvm_backend_name(backend), kvm_device_path());
		line("NO", "KVM backend", "none", text);
		return;
	}
	line(backend == KVM_BACKEND_NONE ? "NO" : "ok", "KVM backend", kvm_backend_name(backend),
	     remark[backend]);
}

static bool doctor_capabilities(const struct kvm_system *sys)
{
	bool all = true;

	puts("\nKVM capabilities used, with their values");
	for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++) {
		const struct need *n = &needs[i];
		int value = kvm_system_check(sys, n->cap);
		char text[16];

		snprintf(text, sizeof(text), "%d", value);
		if (!value && n->required)
			all = false;
		line(value ? "ok" : n->required ? "NO" : "-", n->name, text, value ? "" : n->cost);
	}
	return all;
}

/** A VM with one vCPU, made and thrown away. */
static bool doctor_vm(const struct kvm_system *sys)
{
	struct kvm_vcpu vcpu = {.fd = -1};
	int vm = kvm_system_create_vm(sys), rc = vm < 0 ? vm : 0;
	char khz[32];

	if (!rc)
		rc = kvm_vm_create_irqchip(vm);
	if (!rc)
		rc = kvm_vcpu_open(&vcpu, sys, vm, 0);
	if (rc) {
		line("NO", "a VM with a CPU", strerror(-rc),
		     rc == -EBUSY ? "another hypervisor holds the CPU" : "");
	} else {
		line("ok", "a VM with a CPU", "created", "");
		rc = kvm_vcpu_tsc_khz(&vcpu);
		snprintf(khz, sizeof(khz), "%d kHz", rc);
		line(rc > 0 ? "ok" : "-", "guest TSC", rc > 0 ? khz : "unknown",
		     rc > 0 ? "" : "times in the guest are calibrated by the guest");
		rc = 0;
	}
	kvm_vcpu_close(&vcpu);
	if (vm >= 0)
		close(vm);
	return !rc;
}

static void doctor_pmu(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_HARDWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_HW_CPU_CYCLES,
		.exclude_kernel = 1,
	};
	int fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);

	if (fd >= 0) {
		line("ok", "PMU", "hardware counters", "");
		close(fd);
		return;
	}
	line("-", "PMU", "n/a (no PMU)",
	     errno == EACCES || errno == EPERM
		     ? "no permission: lower kernel.perf_event_paranoid"
		     : "cycles and TLB misses cannot be counted here; costs are times, or "
		       "instructions with --accel lab --icount");
}

static void doctor_thp(void)
{
	static const char path[] = "/sys/kernel/mm/transparent_hugepage/shmem_enabled";
	FILE *f = fopen(path, "re");
	char text[128] = "", *open, *close;

	if (f && fgets(text, sizeof(text), f) && (open = strchr(text, '[')) &&
	    (close = strchr(open, ']'))) {
		bool on;

		*close = 0;
		on = strcmp(open + 1, "never") && strcmp(open + 1, "deny");
		line(on ? "ok" : "-", "huge pages for guest RAM", open + 1,
		     on ? ""
			: "guest RAM has 4 KiB pages in the host: `echo advise >` "
			  "/sys/kernel/mm/transparent_hugepage/shmem_enabled");
	} else {
		line("-", "huge pages for guest RAM", "unknown", "");
	}
	if (f)
		fclose(f);
}

static void doctor_temp(void)
{
	const char *env = getenv("TMPDIR"), *dir = env && *env ? env : "/var/tmp";
	struct statvfs fs;
	char text[64];

	if (statvfs(dir, &fs)) {
		line("-", "temporary swap disks", dir, strerror(errno));
		return;
	}
	snprintf(text, sizeof(text), "%llu MiB free",
		 (unsigned long long)fs.f_bavail * fs.f_frsize >> 20);
	line("ok", "temporary swap disks", text, dir);
}

/** How accesses to guest memory can be sampled (mmvm run --access). */
static void doctor_access(void)
{
	static const struct {
		enum access_method method;
		const char *name, *what;
	} methods[] = {
		{ACCESS_UNMAP, "access by unmap", "exact; a fault for each page accessed"},
		{ACCESS_REFS, "access by refs",
		 "a number of pages only, and KVM's own accessed bits are not in it"},
	};
	char why[ACCESS_WHY];
	bool idle = !access("/sys/kernel/mm/page_idle/bitmap", F_OK);

	line("ok", "access by guest", "accessed bits", "exact; guestmm only");
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		access_host_probe(methods[i].method, why);
		line(why[0] ? "-" : "ok", methods[i].name, why[0] ? "n/a" : "works",
		     why[0] ? why : methods[i].what);
	}
	line("-", "page_idle", idle ? "there" : "n/a",
	     idle ? "mmvm has no use for it: `unmap` asks the same"
		  : "this kernel has no CONFIG_IDLE_PAGE_TRACKING");
}

static int cmd_doctor(const struct command *self, int argc, char **argv)
{
	enum kvm_backend backend = kvm_backend_detect();
	struct kvm_system sys = {.fd = -1};
	bool direct, lab;
	struct utsname u;
	char why[256] = "";
	int status = option_parse(self, NULL, 0, argc, argv, 2, NULL);

	if (status)
		return status < 0 ? MMVM_EXIT_OK : status;
	if (uname(&u))
		return MMVM_EXIT_HOST;
	printf("Host: %s %s, %ld CPUs%s\n", u.sysname, u.release, sysconf(_SC_NPROCESSORS_ONLN),
	       lab_inside() ? ", inside the lab" : "");
	doctor_backend(backend);
	direct = doctor_device(&sys);
	if (direct) {
		direct = doctor_vm(&sys);
		direct &= doctor_capabilities(&sys);
		kvm_system_close(&sys);
	}
	puts("\nBeside KVM");
	doctor_pmu();
	doctor_thp();
	doctor_temp();
	doctor_access();
	lab = lab_available(why, sizeof(why));
	line(lab || lab_inside() ? "ok" : "-", "lab (QEMU emulating SVM)",
	     lab	    ? "available"
	     : lab_inside() ? "this is it"
			    : "not available",
	     lab || lab_inside() ? "" : why);
	printf("\n%s\n",
	       direct && backend != KVM_BACKEND_PVM ? "Machines run directly."
	       : direct && lab
		       ? "Machines run directly (--accel kvm), or in the lab (--accel auto)."
	       : direct ? "Machines run directly, the kernel's part slowly; the lab is missing."
	       : lab	? "Machines run in the lab only."
			: "No machine can run here: see the lines marked NO.");
	return direct || lab ? MMVM_EXIT_OK : MMVM_EXIT_HOST;
}

const struct command command_doctor = {
	.name = "doctor",
	.run = cmd_doctor,
	.what = "what this host can do, and what is missing",
	.synopsis = "",
	.about = "Say what this host can do, and what is missing.",
};
