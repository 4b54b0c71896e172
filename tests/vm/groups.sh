#!/bin/sh
# A short round of tests/stress/groups.sh: programs under memory cgroups and on nodes, and nothing may be left of them.
#    groups.sh BUILD
ROUNDS=1 STEPS=4 WORKERS=8 SWAP=16M CPUS=2 exec "$(dirname "$0")/../stress/groups.sh" "$1"
