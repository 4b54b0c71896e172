/*
 * The KVM wrappers: a failing ioctl names itself, its errno and where it is.
 */
#include "../host/unit.h"
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include "kvm/kvm.h"

static void test_failure(void)
{
	struct kvm_regs regs = {0};
	struct kvm_vcpu vcpu = {.fd = -1};
	int rc = kvm_vm_set_memory(-1, 0, 0, 0, 4096, NULL);

	CU_ASSERT_EQUAL(rc, -EBADF);
	CU_ASSERT_PTR_NOT_NULL(strstr(kvm_error_text(rc), "KVM_SET_USER_MEMORY_REGION"));
	CU_ASSERT_PTR_NOT_NULL(strstr(kvm_error_text(rc), "errno 9"));
	CU_ASSERT_PTR_NOT_NULL(strstr(kvm_error_text(rc), "kvm/vm.c:"));
	/* The next one is another. */
	rc = kvm_vcpu_get_regs(&vcpu, &regs);
	CU_ASSERT_EQUAL(rc, -EBADF);
	CU_ASSERT_PTR_NOT_NULL(strstr(kvm_error_text(rc), "KVM_GET_REGS"));
	/* An error that no ioctl gave is not blamed on one. */
	CU_ASSERT_STRING_EQUAL(kvm_error_text(-ENOMEM), strerror(ENOMEM));
}

static void *other_thread(void *arg)
{
	*(bool *)arg = !strcmp(kvm_error_text(-EBADF), strerror(EBADF));
	return NULL;
}

static void test_threads(void)
{
	bool clean = false;
	pthread_t t;

	CU_ASSERT_EQUAL(kvm_vm_create_irqchip(-1), -EBADF);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&t, NULL, other_thread, &clean), 0);
	pthread_join(t, NULL);
	CU_ASSERT_TRUE(clean);
	CU_ASSERT_PTR_NOT_NULL(strstr(kvm_error_text(-EBADF), "KVM_CREATE_IRQCHIP"));
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"a failure has a name", test_failure},
		{"each thread has its own", test_threads},
	};

	return unit_run("kvm", cases, sizeof(cases) / sizeof(cases[0]));
}
