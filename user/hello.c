/* The smallest program: says hello and its arguments, and exits with how many there were. */
#include "rt.h"

int main(int argc, char **argv)
{
	print("hello from user mode, pid %ld\n", sys_getpid());
	for (int i = 1; i < argc; i++)
		print("argv[%d] = %s\n", i, argv[i]);
	return argc - 1;
}
