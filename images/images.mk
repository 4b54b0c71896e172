# The lab's image: Debian's kernel unpacked and an initramfs, under $B/lab. See images/lab.sh.
lab-image: $B/lab/initrd
lab-bench: $B/lab/mmvm_bench.ko
bench: lab-bench

$B/lab/lab_init: images/lab_init.c | $B/.setup
	@mkdir -p $(@D); echo "  CC      $<"
	$Q$(CC) $(COMMON) -static -o $@ $<
$B/lab/initrd: $B/lab/lab_init images/lab.sh
	@echo "  LAB     $@"
	$Qsh images/lab.sh image $B/lab $B/lab/lab_init
$B/lab/mmvm_bench.ko: images/linux_bench.c images/lab.sh $B/lab/initrd
	@echo "  LAB     $@"
	$Qsh images/lab.sh bench $B/lab images/linux_bench.c

.PHONY: lab-bench
