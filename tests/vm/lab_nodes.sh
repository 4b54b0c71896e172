#!/bin/sh
# NUMA nodes of the guest, what holds its RAM on the host, pinned CPUs.    lab_nodes.sh BUILD
set -u
B=$1
name=lab_nodes
. "$(dirname "$0")/lib.inc"

needs_lab
two="--cpus 2 --node memory=24M,cpus=0,distance=10:21 --node memory=24M,cpus=1,distance=21:10"

run run --accel lab $two --swap 64M --exec swapstress --mb 60 --json "$dir/r.json"
ok "a guest with two nodes swaps" [ "$status" = 0 ]
ok "the table says so" said '48 MiB in 2 nodes, 2 CPUs'
ok "zones of both nodes" said 'DMA32 +1 +[1-9]'
ok "the result has them" grep -q '"memory_bytes": 25165824' "$dir/r.json"
run run --accel lab --node memory=24M,cpus=0 --node memory=16M --swap 64M --exec swapstress --mb 50
ok "a node with memory only" [ "$status" = 0 ]
run run --accel lab --memory 48M,high=16M --node memory=24M --node memory=24M --exec hello
ok "a node on both sides of the hole" said 'Normal +1 +[1-9]'

wrong() {
	text=$1
	shift
	run run --accel lab --exec hello "$@"
	ok "refused: $*" is 2 "$text"
}
wrong "memory=SIZE is missing" --node cpus=0
wrong "is none of memory=SIZE" --node memory=24M,speed=3
wrong "a CPU that is not there" --node memory=48M,cpus=0-1
wrong "is in no node" --cpus 2 --node memory=24M --node memory=24M,cpus=1
wrong "to itself it is 10" --node memory=24M,distance=20 --node memory=24M
wrong "the nodes have 24576 KiB, the machine 49152 KiB" --node memory=24M --memory 48M
wrong "none of 4k, thp, hugetlb" --backing huge
wrong "may not run on processor 77" --pin 77
wrong "names 2 processors of the host for 1 CPUs" --pin 0,0

# A file is outside of what the inner mmvm may lose: it is the lab's own.
cat >"$dir/backings" <<EOF
set -e
mmvm=\$1
cd /tmp
for b in 4k thp file=/tmp/ram; do
	"\$mmvm" run --memory 48M --exec hello --backing \$b --pin 0 >/tmp/out 2>&1 || { cat /tmp/out; exit 1; }
done
[ \$(stat -c %s /tmp/ram) = 50331648 ]
"\$mmvm" run --memory 48M --exec hello --backing file=/tmp/ram 2>&1 | grep -q 'what it holds would be lost'
"\$mmvm" run --memory 48M --exec hello --backing hugetlb 2>&1 | grep -q '24 free pages of 2 MiB are needed, the host has 0'
echo 26 >/proc/sys/vm/nr_hugepages
"\$mmvm" run --memory 48M --exec hello --backing hugetlb
EOF
run lab sh "$dir/backings" "$mmvm"
ok "4k, thp, file and hugetlb hold RAM; without pages hugetlb is refused" [ "$status" = 0 ]
ok "the table names hugetlb" said 'backing hugetlb'
finish
