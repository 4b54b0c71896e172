numactl -H | grep -v -E 'size|free|cpus'
numactl --show | grep policy
numactl --interleave=all numactl --show | grep -E 'policy|membind'
numactl --membind=0 numactl --show | grep -E 'policy|membind'
numactl --membind=7 true; echo "no such node: $?"
numactl --preferred=0 numactl --show | grep preferred
numastat | head -n 4 | awk '{ print $1, NF }'
