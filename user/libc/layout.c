/*
 * Print the addresses of the program's parts, in one line.
 *    layout          as the kernel chose them
 *    layout fixed    the same program, run by itself without randomness (personality(2))
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	char here;
	void *map;

	if (argc > 1 && !strcmp(argv[1], "fixed")) {
		personality(ADDR_NO_RANDOMIZE);
		argv[1] = NULL;
		execv(argv[0], argv);
		perror(argv[0]);
		return 1;
	}
	map = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	printf("layout stack %p heap %p map %p random %s\n", (void *)&here, sbrk(0), map,
	       personality(0xffffffff) & ADDR_NO_RANDOMIZE ? "no" : "yes");
	return map == MAP_FAILED;
}
