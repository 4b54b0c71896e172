/* The program of the example system_call: asks with a number that is allowed, and with one that is not. */
#include <errno.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(void)
{
	long good = syscall(SYS_lookup_dcookie, 7), bad;

	errno = 0;
	bad = syscall(SYS_lookup_dcookie, 43);
	printf("lookup_dcookie: %ld, then %ld with errno %d\n", good, bad, errno);
	return 0;
}
