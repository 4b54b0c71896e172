#!/bin/sh
# Options on the guest's command line: each that the kernel knows acts or says why it does not; each that it does not know
# is named in the log, so that a misspelt one does not look as if it did something.
#    boot_options.sh BUILD    exit 0 passed, 1 failed, 77 cannot run here
set -u
name=boot_options
B=$1
. "$(dirname "$0")/lib.inc"
needs_lab

# boot OPTIONS: a guest with them; its log is in $dir/log
boot() {
	run run --accel lab --memory 48M --append "$1" --exec hello
	cat "$dir/out" "$dir/err" >"$dir/log"
}
named() { grep -aqF "$1" "$dir/log"; }
silent() { ! grep -aq "Unknown kernel command line\|ignored$\|skipped\|cannot parse" "$dir/log"; }

# The options that the sources ask for, but root= and init=, in one boot or the other: none is unknown, and none is refused.
boot "lockdep page_poison fault_inject debug_vm dma_debug nopku norandmaps vdso=1 ro la57=off slab_debug=FZ,dentry \
highmem=4M min_free_kbytes=512 kernelcore=75% hugepages=1 default_hugepagesz=2M hugepagesz=2M \
transparent_hugepage=madvise transparent_hugepage_shmem=never reclaim_policy=mglru \
zswap.enabled=0 zswap.max_pool_percent=20 zswap.accept_threshold_percent=90 zswap.shrinker_enabled=0"
ok "known options: the guest runs" [ "$status" = 0 ]
ok "known options: the log names none" silent
boot "slub_debug=P,dentry movablecore=8M cma=4M swiotlb=512"
ok "more of them: the guest runs" [ "$status" = 0 ]
ok "more of them: the log names none" silent

# Without the memory controller: it is not among the controllers, cannot be given to children, and none of its files is
# there; groups are, with their processes.
busybox=$(command -v busybox)
run run --accel lab --memory 48M --append cgroup_disable=memory --exec "$busybox" sh -c '
	cd /sys/fs/cgroup || exit
	echo "controllers ($(cat cgroup.controllers))"
	echo +memory >cgroup.subtree_control && echo "given to children"
	mkdir a && echo $$ >a/cgroup.procs && echo "group $(cat /proc/self/cgroup)"
	echo "files ($(ls -d memory.* a/memory.* 2>/dev/null | tr "\n" " "))"'
cat "$dir/out" "$dir/err" >"$dir/log"
ok "cgroup_disable=memory: the guest runs" [ "$status" = 0 ]
ok "it says so" named "Disabling memory control group subsystem"
ok "no controller" named "controllers ()"
ok "none for children" named "write error: Invalid argument"
ok "and none was given" sh -c "! grep -aq 'given to children' '$dir/log'"
ok "groups remain" named "group 0::/a"
ok "without its files; pressure needs no controller" named "files (a/memory.pressure memory.pressure )"
boot "cgroup_disable=nosuch,memory"
ok "of several controllers" named "Disabling memory control group subsystem"
ok "one that there is not" named "cgroup_disable=nosuch: no such controller, ignored"
ok "that option is known" sh -c "! grep -aq 'Unknown kernel command line' '$dir/log'"

# Unknown: misspelt, the beginning of a name, a name that goes on, and more than a line has room for.
long=$(awk 'BEGIN { for (i = 0; i < 40; i++) printf "%sword%d=abcdefgh", i ? " " : "", i }')
boot "lockdeb page_poiso page_poisons=1 debug_vm $long last"
ok "unknown options: the guest runs" [ "$status" = 0 ]
ok "unknown options are named" named 'Unknown kernel command line parameters "lockdeb page_poiso page_poisons=1 word0=abcdefgh '
ok "to the last of many" sh -c "grep -a 'Unknown kernel command' '$dir/log' | tail -n 1 | grep -q 'word39=abcdefgh last\"'"
n=$(grep -a 'Unknown kernel command' "$dir/log" | grep -ao 'word[0-9]*=abcdefgh' | sort -u | wc -l)
ok "each of them: $n of 40" [ "$n" = 40 ]
ok "a known one between them is not" sh -c "! grep -a 'Unknown kernel command' '$dir/log' | grep -q debug_vm"

# Known, with a value that means nothing: said, and without effect.
boot "page_poison=perhaps dma_debug=off transparent_hugepage=never transparent_hugepage=sometimes slab_debug=ZQ,dentry"
ok "bad values: the guest runs" [ "$status" = 0 ]
ok "neither on nor off" named "page_poison=perhaps: neither on nor off, ignored"
ok "no such choice" named "transparent_hugepage= cannot parse, ignored"
ok "no such letter" named "slab_debug option 'Q' unknown. skipped"
ok "these are not unknown" sh -c "! grep -aq 'Unknown kernel command' '$dir/log'"
finish
