#!/bin/sh
# KVM on an Intel processor (VMX, EPT), which Bochs emulates: the lab's QEMU has SVM alone. mmvm itself, its
# observers, and of the guest's tests those that depend on the processor's kind. `make test-vmx` runs all of them.
#    vmx.sh BUILD
set -u
B=$1
name=vmx
. "$(dirname "$0")/lib.inc"
where="in Bochs"

cat >"$dir/inside" <<'END'
mmvm doctor
echo "doctor $?"
mmvm run --accel kvm --memory 24M --swap 64M --exec swapstress --mb 40 --passes 1 >/tmp/run 2>&1
echo "run $?"
grep -a 'swap pages\|backend\|every word right\|audit' /tmp/run
mmvm run --accel kvm --memory 24M --access guest,unmap --dirty bitmap --json /tmp/a.json --exec accessset --mb 2 --rounds 3 >/tmp/run 2>&1
echo "access $?"
grep -a 'dirty log\|working set\|access:' /tmp/run
mmvm test --accel kvm --format tap -k 'arch.*' -k 'tlb.*' -k 'levels.*' -k 'percpu.*' -k 'fork.memory*' -k 'swap.p*'
echo "tests $?"
END
python3 "$(dirname "$0")/../vmx/bochs.py" "$B" "$(cat "$dir/inside")" >"$dir/out" 2>"$dir/err"
status=$?
if [ "$status" = 77 ]; then
	echo "# $(cat "$dir/err")"
	exit 77
fi
has() { grep -aqE -- "$1" "$dir/out"; }
ok "Linux starts on VMX and runs the script" [ "$status" = 0 ]
ok "doctor names the backend" has 'KVM backend +VMX'
ok "doctor finds what it needs" has '^doctor 0$'
ok "a program swaps, and every word is right" has 'every word right'
ok "the run ends well" has '^run 0$'
ok "both truths are equal" sh -c '[ "$(grep -ac "swap pages .* equal" "$1")" = 2 ]' sh "$dir/out"
ok "accesses are seen by both methods" has '^access 0$'
ok "guest tests pass" has '^tests 0$'
ok "address spaces keep their tags (PCID)" has '^ok .*arch.address_spaces_keep_their_tags *$'
finish
