#!/bin/sh
# Accessed pages: what each method found is held against what a program says it accessed (user/accessset.c,
# vmm/observe/access*.c); the working set over time; and what watching costs. Here directly on this host's KVM;
# lab_access.sh has nested paging.    access.sh BUILD    exit 0 passed, 1 failed, 77 cannot run here
set -u
B=$1
name=access
. "$(dirname "$0")/lib.inc"
. "$(dirname "$0")/access.inc"

needs_kvm "$@"
seed=${SEED:-7}
echo "# seed $seed"
accessed() { run run --accel kvm --memory 20M "$@"; }

accessed --access all --sample 500 --json "$dir/r.json" --exec accessset --mb 3 --percent 15 --rounds 3 --phases 2 --ms 3000 --seed "$seed"
ok "all methods, a program that compares" [ "$status" = 0 ]
ok "three rounds were compared" said '3 rounds compared, 2 of 2 phases sampled'
scores "$dir/r.json"
ok "the table has them" said '^  guest +[1-9][0-9]* '
ok "and a map of characters" said '^ +0.0 MiB \|.*\|$'
run report "$dir/r.json"
ok "the same from the file" said '^    guest  of [0-9,]+ pages accessed in 3 rounds missed 0.00 %'

# ---- nobody looks
accessed --json "$dir/r.json" --exec accessset --mb 1 --rounds 1
ok "nobody looks: nobody compares" said 'nobody compared'
ok "nobody looks: nothing is said" eval '! said "accessed memory|access:"'
ok "nobody looks: no records, no samples" sh -c "grep -q '\"access\": \[\]' '$dir/r.json'"
accessed --dirty none --access guest --sample 200 --json "$dir/r.json" --exec accessset --mb 1 --rounds 1
ok "without a dirty log" sh -c "grep -q '\"dirty\": null' '$dir/r.json' && grep -q '1 rounds compared' '$dir/out'"

# ---- what cannot be
accessed --access often
ok "unknown method" is 2 "none of guest, unmap"
accessed --access guest --sample 0
ok "no samples" is 2 "needs samples"
accessed --dirty none --access dirty --exec hello
ok "the dirty log's method without one" is 3 "no dirty log is kept"
finish
