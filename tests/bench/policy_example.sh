#!/bin/sh
# The example of doc/new-policy.md: the tree with tests/examples/reclaim_policy.patch, built in a folder of its own, and its table
# of misses. As Markdown, on standard output.    policy_example.sh BUILD [WORKLOAD...]
set -eu
B=$(cd "$1" && pwd)
shift
[ $# -gt 0 ] || set -- zipf scan
root=$(cd "$(dirname "$0")/../.." && pwd)
dir=$(mktemp -d "${TMPDIR:-/tmp}/mmvm-policy-example.XXXXXX")
trap 'rm -rf "$dir"' EXIT
mkdir -p "$dir/build/lab"
# The sources, and what is built of the program and the guest: the rest of the build is not needed.
for f in Makefile devices guestmm images include tests user vmm; do
	cp -a --reflink=auto "$root/$f" "$dir/"
done
for f in .setup host guest policy user images mmvm lab/vmlinux lab/initrd lab/release lab/lab_init lab/lab.sh lab/linux_bench.c; do
	[ ! -e "$B/$f" ] || cp -a --reflink=auto "$B/$f" "$dir/build/$f"
done
patch -d "$dir" -p1 -s --no-backup-if-mismatch -i tests/examples/reclaim_policy.patch
(cd "$dir" && make -s SETUP=no B=build build/mmvm build/images/guestmm.elf) >&2
"$dir/tests/bench/policy_table.sh" "$dir/build" "$@"
