#!/bin/sh
# `mmvm test` from outside: what is listed, chosen and printed, what statuses it ends with, and that nothing
# is left when it is killed.    harness.sh BUILD    exit 0 passed, 1 failed, 77 cannot run here
set -u
name=harness
B=$1
. "$(dirname "$0")/lib.inc"

# ---- without a machine
MMVM_KVM_DEVICE=/nonexistent run test --list
ok "the list needs no KVM" [ "$status" = 0 ]
tests=$(grep -c . "$dir/out")
ok "every line of it is a test" [ "$(grep -Ec '^[a-z0-9_]+\.[a-z0-9_]+ +[0-9]+ s' "$dir/out")" = "$tests" ]
ok "there are suites of every system" sh -c '
	for s in page buddy pcp slab vmalloc zone memblock mm fault reclaim swap oom dma sched audit; do
		grep -q "^$s\." "$1" || { echo "# no suite $s"; exit 1; }
	done' sh "$dir/out"
cp "$dir/out" "$dir/all"
for k in 1 2 3; do
	MMVM_KVM_DEVICE=/nonexistent run test --list --shard $k/3
	cat "$dir/out" >>"$dir/shards"
done
ok "three shards hold every test once" sh -c 'tr -s " " <"$1" | sort >"$1.s"; tr -s " " <"$2" | sort | cmp - "$1.s"' \
	sh "$dir/all" "$dir/shards"
ok "and are of one size" sh -c 'n=$(grep -c . "$1"); m=$(grep -c . "$2"); [ $m = $((n / 3)) ]' sh "$dir/all" "$dir/out"
run test --list -k page.conversions --shard 2/2
ok "a shard may have nothing to do" is 0 "none of the 1 tests"
run test --list --shard 4/3
ok "a shard that is not there" is 2 "K from 1 to N"
run test -k no.such_test
ok "nothing ran is no success" is 1 "nothing ran"
run test --nonsense
ok "unknown option" is 2 "unknown option .--nonsense"
run test -k
ok "option without its value" is 2 "needs a value"
run test -j 0
ok "no jobs" is 2 "from 1 to 64"
run test --format xml
ok "unknown format" is 2 "format xml: none of pretty tap junit"
run test --kernel "$dir/none"
ok "missing kernel" is 2 "cannot open kernel"
run test --kernel /bin/sh
ok "a kernel without tests" is 2 "holds no guest tests"
MMVM_KVM_DEVICE=$dir/kvm run test --accel kvm -k page.conversions
ok "no /dev/kvm" is 3 "no KVM on this host"

if have_lab; then
	LIMIT=180 run test --accel lab -k page.conversions -k arch.device_tree --seed 9
	ok "in the lab" [ "$status" = 0 ]
	ok "in the lab: the backend is named" said 'on SVM in the lab, seed 9'
	ok "in the lab: totals" [ "$(tail -n 1 "$dir/out")" = "2 passed, 0 failed, 0 skipped" ]
fi
needs_kvm "$@"

# ---- in machines
run test --accel kvm -k page.conversions --seed 5
ok "one test passes" [ "$status" = 0 ]
ok "the seed is said" said 'seed 5$'
ok "the totals close it" [ "$(tail -n 1 "$dir/out")" = "1 passed, 0 failed, 0 skipped" ]
run test --accel kvm -k 'page.[cf]*' -k zone.watermark_policy --format tap
planned=$(sed -n 's/^1\.\.//p' "$dir/out")
ok "TAP: as many results as planned" [ "$(grep -Ec '^(not )?ok [0-9]+ - ' "$dir/out")" = "$planned" ]
ok "TAP: several patterns" said '^ok [0-9]+ - zone.watermark_policy'
run test --accel kvm -k page.conversions --format junit
ok "JUnit is XML" python3 -c 'import sys, xml.dom.minidom
suite = xml.dom.minidom.parse(sys.argv[1]).getElementsByTagName("testsuite")[0]
assert suite.getAttribute("tests") == "1" and suite.getAttribute("failures") == "0"' "$dir/out"
run test --accel kvm -k pcp. -k zone. -j 4
ok "four at a time" [ "$status" = 0 ]

# A kernel that dies at its first instruction, and one that hangs there.
python3 - "$B/images/guestmm.elf" "$dir/dies.elf" "$dir/hangs.elf" <<'END'
import struct, sys
image = bytearray(open(sys.argv[1], "rb").read())
entry, phoff = struct.unpack_from("<QQ", image, 24)
phnum = struct.unpack_from("<H", image, 56)[0]
for i in range(phnum):
    kind, _, offset, virt, phys, size = struct.unpack_from("<IIQQQQ", image, phoff + 56 * i)
    for base in (virt, phys):
        if kind == 1 and base <= entry < base + size:
            at = offset + entry - base
for name, code in ((sys.argv[2], b"\x0f\x0b"), (sys.argv[3], b"\xeb\xfe")):
    image[at:at + 2] = code
    open(name, "wb").write(image)
END
run test --accel kvm -k page.conversions --kernel "$dir/dies.elf"
ok "a dead kernel fails its test" [ "$status" = 1 ]
ok "and shows its registers" said ' rip [0-9a-f]{16}'
run test --accel kvm -k page.conversions --kernel "$dir/hangs.elf" --timeout-scale 0.01
ok "a kernel that hangs reaches its time limit" said 'FAIL +page.conversions.* time limit of [0-9]+ s'
ok "and shows where it was" said ' rip [0-9a-f]{16}'
run test --accel kvm -k null_pointer_crashes
ok "a crash that is expected passes" [ "$status" = 0 ]
run test --accel kvm -k audit.broken_link_in_a_buddy_list -k audit.block_that_covers -v
ok "planted corruptions are found" [ "$status" = 0 ]
ok "and named" said 'audit: buddy_list: .*link [0-9]+'

# ---- stopped and killed: nothing is left, neither processes nor files
mkdir "$dir/tmp" "$dir/cwd"
for s in TERM:143 INT:130 KILL:137; do
	: >"$dir/out"
	(cd "$dir/cwd" && TMPDIR=$dir/tmp exec setsid "$mmvm" test --accel kvm -j 3 -k swap. -k reclaim. \
		>"$dir/out" 2>"$dir/err") &
	p=$!
	# In the middle: a test has passed, others run.
	await $p said '^ *ok '
	kill -"${s%:*}" $p
	wait $p
	status=$?
	ok "SIG${s%:*} ends it" [ "$status" = "${s#*:}" ]
	ok "SIG${s%:*}: no process is left" session_gone "$p"
	ok "SIG${s%:*}: no file is left" sh -c '[ -z "$(ls -A "$1" "$2" | grep -v :)" ]' sh "$dir/tmp" "$dir/cwd"
done

finish
