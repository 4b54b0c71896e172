/*
 * The first process of a Linux machine for `mmvm bench boot`: it reports that it runs, and ends the machine. With the
 * argument "stay" the machine continues to run, so that its memory can be measured.
 */
#include "rt.h"

#define SYS_pause	 34
#define SYS_reboot	 169
#define REBOOT_MAGIC	 0xfee1dead
#define REBOOT_MAGIC_2	 0x28121969
#define REBOOT_AUTO_BOOT 0x01234567

int main(int argc, char **argv)
{
	print("bootup: the first process runs\n");
	while (argc > 1 && !strcmp(argv[1], "stay"))
		syscall3(SYS_pause, 0, 0, 0);
	syscall6(SYS_reboot, REBOOT_MAGIC, REBOOT_MAGIC_2, REBOOT_AUTO_BOOT, 0, 0, 0);
	return 1;
}
