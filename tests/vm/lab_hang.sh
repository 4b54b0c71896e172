#!/bin/sh
# A lab that hangs: QEMU's processors stand still. `mmvm test` recognises it, repeats the test and says so; a deadlock
# or an endless loop of the guest is a failure of its test, and the lab's own Linux in trouble is neither.
#    lab_hang.sh BUILD    exit 0 passed, 1 failed, 77 cannot run here
set -u
B=$1
name=lab_hang
. "$(dirname "$0")/lib.inc"
needs_lab
where="in the lab"
LIMIT=400

# ---- QEMU itself: a stand-in that says a verdict and then only keeps a processor busy; from the second time on the real one
mkdir "$dir/bin"
cat >"$dir/bin/qemu-system-x86_64" <<END
#!/usr/bin/env python3
import os, sys
if os.path.exists("$dir/hung"):
    os.execv("$(command -v qemu-system-x86_64)", sys.argv)
open("$dir/hung", "w")
fd = {}
for word in sys.argv:
    if word.startswith("socket,id="):
        name, number = word[len("socket,id="):].split(",")[:2]
        fd[name] = int(number[len("fd="):])
os.write(fd["control"], b"start\n")
os.write(fd["stdout"], b"begin 9 SVM in the lab\nverdict 0 1000 0 0 page.conversions_agree\nverdict 1 1000 4 0 zone.he")
while True:
    pass
END
chmod +x "$dir/bin/qemu-system-x86_64"
real_path=$PATH
PATH=$dir/bin:$PATH
run test --accel lab --seed 9 --timeout-scale 0.4 -k page.conversions_agree -k zone.l
PATH=$real_path
ok "the suite goes on" [ "$status" = 0 ]
ok "the hang is said, with the test" grep -q "emulator hung .* zone\.[a-z_]*: repeated" "$dir/err"
ok "what had passed is not run again" [ "$(grep -c 'ok .*page.conversions_agree' "$dir/out")" = 1 ]
ok "what was cut off is" [ "$(grep -c ' ok  *zone\.' "$dir/out")" -gt 1 ]
ok "one heading, one sum" sh -c '[ "$(grep -c "seed 9" "$1")" = 1 ] && tail -n 1 "$1" | grep -q "^[0-9]* passed, 0 failed"' \
	sh "$dir/out"
# Hanging every time is a failure, not an endless loop.
sed -i '/^if os.path/,/^open/d' "$dir/bin/qemu-system-x86_64"
sed -i 's/os.write(fd\["stdout"\].*/pass/' "$dir/bin/qemu-system-x86_64"
PATH=$dir/bin:$PATH
run test --accel lab --seed 9 --timeout-scale 0.2 -k page.conversions_agree
PATH=$real_path
ok "three hangs in one test: given up" is 3 "emulator hung"
ok "after three" [ "$(grep -c repeated "$dir/err")" = 3 ]

# With several processors one of the lab's own may have a triple fault: QEMU ends.
sed -i 's/^while True:/sys.exit(0)/; s/^    pass$//' "$dir/bin/qemu-system-x86_64"
PATH=$dir/bin:$PATH
run test --accel lab --seed 9 --lab-cpus 2 -k page.conversions_agree
two=$status
cp "$dir/err" "$dir/err2"
run test --accel lab --seed 9 -k page.conversions_agree
PATH=$real_path
ok "of two processors the emulator ends: another lab, three times" \
	[ "$two" = 3 -a "$(grep -c 'emulator ended .*repeated' "$dir/err2")" = 3 ]
ok "of one: it is said at once" [ "$status" = 3 -a "$(grep -c repeated "$dir/err")" = 0 ]

# ---- the guest: it hangs, the lab does not
python3 - "$B/images/guestmm.elf" "$dir/hangs.elf" "$dir/halts.elf" <<'END'
import struct, sys
image = bytearray(open(sys.argv[1], "rb").read())
entry, phoff = struct.unpack_from("<QQ", image, 24)
phnum = struct.unpack_from("<H", image, 56)[0]
for i in range(phnum):
    kind, _, offset, virt, phys, size = struct.unpack_from("<IIQQQQ", image, phoff + 56 * i)
    for base in (virt, phys):
        if kind == 1 and base <= entry < base + size:
            at = offset + entry - base
for name, code in ((sys.argv[2], b"\xeb\xfe"), (sys.argv[3], b"\xf4\xeb\xfd")):
    image[at:at + 3] = code.ljust(3, b"\x90")
    open(name, "wb").write(image)
END
for how in hangs halts; do
	# With two processors QEMU itself stands still now and then (doc/lab.md), and mmvm says so with status 3. That
	# says nothing about the guest: try again.
	for try in 1 2 3; do
		run test --accel lab --lab-cpus 2 -k page.conversions --kernel "$dir/$how.elf" --timeout-scale 0.2
		[ "$status" = 3 ] || break
	done
	ok "a guest that $how fails its test" [ "$status" = 1 ]
	ok "a guest that $how: by its time limit, and with its registers" said 'time limit of [0-9]+ s'
	ok "a guest that $how: nobody says that the lab did" sh -c "! grep -q hung '$dir/err'"
done

# ---- the lab's Linux: all its processors stand still, or run on with nothing to be seen of it
[ -e "$B/lab/mmvm_bench.ko" ] && busybox=$(command -v busybox) || {
	skip "the lab's Linux hangs" "busybox or the lab's module is missing (make lab-bench)"
	finish
}
run lab --patience 8 -- "$busybox" insmod "$B/lab/mmvm_bench.ko" hang=1
ok "processors that stand still: the emulator hung" is 3 "emulator hung"
run lab --patience 8 -- "$busybox" insmod "$B/lab/mmvm_bench.ko" hang=2
ok "processors that run: the lab shows no sign of life" is 3 "no sign of life"
ok "and it is not taken for the emulator" sh -c "! grep -q emulator '$dir/err'"
finish
