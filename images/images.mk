# The lab's image: Debian's kernel unpacked and an initramfs, under $B/lab. See images/lab.sh.
#
# `make run` and `make test` go on without it where it cannot be built (no network, not Debian): they
# then use KVM alone, and say so. Who asks for the lab itself gets the failure.
ifneq ($(filter lab lab-image lab-bench bench,$(MAKECMDGOALS)),)
LAB_FAILED := exit 1
else
LAB_FAILED := echo "mmvm: going on without the lab" >&2
endif

lab-image: $B/lab/initrd $B/lab/lab.sh $B/lab/linux_bench.c
lab-bench: $B/lab/mmvm_bench.ko
bench test: lab-bench

$B/lab/lab_init: images/lab_init.c | $B/.setup
	@mkdir -p $(@D); echo "  CC      $<"
	$Q$(CC) $(COMMON) -D_GNU_SOURCE -static -o $@ $<
$B/lab/initrd: $B/lab/lab_init images/lab.sh
	@echo "  LAB     $@"
	$Qsh images/lab.sh image $B/lab $B/lab/lab_init || $(LAB_FAILED)
$B/lab/mmvm_bench.ko: images/linux_bench.c images/lab.sh $B/lab/initrd
	@echo "  LAB     $@"
	$Q[ ! -e $B/lab/initrd ] || sh images/lab.sh bench $B/lab images/linux_bench.c || $(LAB_FAILED)

# For a lab with another kernel, which mmvm bench --linux makes
$B/lab/lab.sh: images/lab.sh
	@mkdir -p $(@D); cp $< $@
$B/lab/linux_bench.c: images/linux_bench.c
	@mkdir -p $(@D); cp $< $@

.PHONY: lab-bench
