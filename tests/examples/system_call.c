/*
 * The program of the example system_call: calls it with a number that it allows and with one that it
 * refuses.
 */
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
