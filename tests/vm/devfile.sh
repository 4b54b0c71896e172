#!/bin/sh
# A disk's own file: what the guest writes through its page cache is on the host's disk after fsync, even when the
# machine is killed at that moment, and after an orderly end without fsync; what the host has there, the guest reads.
#    devfile.sh BUILD    exit 0 passed, 1 failed, 77 cannot run here
set -u
name=devfile
B=$(cd "$1" && pwd)
. "$(dirname "$0")/lib.inc"

needs_kvm "$@"
disk=$dir/disk
# Not a whole number of pages: the last request is for a part of one.
truncate -s $((1024 * 1024 + 3 * 512)) "$disk"

guest() { # guest ARGS... : devtest on the disk
	run run --accel kvm --sample 0 --memory 32M --swap 0 --disk "$disk" --exec devtest -- /dev/vda "$@"
}
done_well() { [ "$status" = 0 ] && said '^devtest: done, 1050112 bytes'; }
# has SEED: every word on the host's disk is its place times 16 plus the seed
has() {
	od -A d -v -t u8 -w8 "$disk" | awk -v seed="$1" '
		NF == 2 && $2 != $1 * 16 + seed { print "# byte", $1, "is", $2; bad = 1; exit }
		NF == 2 { n++ }
		END { exit bad || n != 131264 }'
}

guest write 1 fsync
ok "written and read back, out of order and across pages" done_well
ok "fsync: it is on the disk" has 1
guest check 1
ok "another machine reads it" done_well
guest write 2 nothing
ok "written without fsync" done_well
ok "the machine's end writes it" has 2

: >"$dir/out"
"$mmvm" run --accel kvm --sample 0 --memory 32M --swap 0 --disk "$disk" --exec devtest -- /dev/vda write 3 wait \
	>"$dir/out" 2>"$dir/err" &
pid=$!
await $pid said '^devtest: done'
ok "fsync has returned" said '^devtest: done'
kill -9 $pid
wait $pid 2>/dev/null
ok "and the machine was killed: it is on the disk" has 3
finish
