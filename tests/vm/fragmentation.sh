#!/bin/sh
# Fragmentation from outside (mmvm run --fragmentation): a program cuts memory in pieces, has it compacted, and takes a huge
# page (user/fragment.c). The samples show each of the three, as the guest's own reports do, and the page draws them.
#    fragmentation.sh BUILD
set -u
B=$1
name=fragmentation
. "$(dirname "$0")/lib.inc"
needs_lab

# Each state is held for about twenty samples. It is looked for as long as it lasts, however many they were.
run run --accel lab --memory 40M --sample 100 --fragmentation --json "$dir/r.json" --exec fragment 8000 2000
ok "a guest cuts its memory in pieces and has it compacted" [ "$status" = 0 ]
ok "what looking cost is printed" said '^  fragmentation +[1-9]'

# looks EXPRESSION: of all samples that have a look, in order
looks() {
	python3 - "$dir/r.json" "$dir/out" "$1" <<'END'
import json, re, sys
r = json.load(open(sys.argv[1]))
f = [s["fragmentation"] for s in r["samples"] if s.get("fragmentation")]
out = open(sys.argv[2], errors="replace").read()
before, after = map(int, re.search(r"^blocks (\d+) (\d+)", out, re.M).groups())
huge = int(re.search(r"^huge (\d+)", out, re.M).group(1))
free = [sum(n << o for o, n in enumerate(x["free_blocks"])) for x in f]
large = [sum(n << (o - 9) for o, n in enumerate(x["free_blocks"]) if o >= 9) for x in f]
mean = [sum(b * n for b, n in zip(x["map_block"], x["map_free"])) / max(1, sum(x["map_free"])) for x in f]
single = [x["free_blocks"][0] for x in f]
hugetlb = [x["huge_hugetlb"] for x in f]
worst = max(range(len(f)), key=lambda i: single[i]) if f else 0
# The first look after it with a block for each that the guest has found, and the first with the huge page.
whole = next((i for i in range(worst, len(f)) if large[i] >= after), None)
taken = next((i for i in range(whole or len(f), len(f)) if hugetlb[i]), None)
if not eval(sys.argv[3]):
    print("#", before, after, huge, "at", worst, whole, taken, list(zip(free, large, map(int, mean), single, hugetlb))[:80])
    sys.exit(1)
END
}
ok "there are looks" looks 'len(f) >= 10'
ok "maps and lists agree on what is free" looks 'all(sum(x["map_free"]) == n for x, n in zip(f, free))'
ok "in pieces: every other page is a free block of its own" looks 'single[worst] >= 3000 and mean[worst] < mean[0] / 2'
ok "in pieces: the blocks of 2 MiB are as few as the guest says" looks 'before in large[worst:whole]'
ok "compacted: the blocks are as many as the guest says" looks 'after > before and whole and taken and after in large[whole:taken]'
ok "compacted: few single pages are left, in large blocks" looks 'any(single[i] < single[worst] / 4 and mean[i] > 1.5 * mean[worst] for i in range(whole, taken))'
ok "the huge page is seen where it is" looks 'huge == 1 and max(hugetlb) == 512 and all(sum(x["map_huge"]) == x["huge_anon"] + x["huge_shmem"] + x["huge_hugetlb"] for x in f)'
ok "each pageblock has a type" looks 'all(19 <= sum(x["block_types"].values()) <= 21 for x in f)'

run report "$dir/r.json" -o "$dir/r.html"
ok "the page is written" [ "$status" = 0 ]
for title in "Free memory by the size of its blocks" "Memory in large folios" "Pageblocks by migrate type" \
	"How free memory is cut: address" "Where large folios are: address" "Pageblocks that are not movable: address"; do
	ok "the page shows: $title" grep -q "$title" "$dir/r.html"
done

run run --accel lab --memory 16M --sample 100 --json "$dir/none.json" --exec hello
ok "nobody looks unless asked" sh -c '[ "$1" = 0 ] && ! grep -q map_free "$2"' sh "$status" "$dir/none.json"
finish
