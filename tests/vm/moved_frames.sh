#!/bin/sh
# Memory in pieces, made whole by compaction, and three who say which frames moved: the program (pagemap), KVM's dirty log
# (the frames that pages were copied to, and no other of the program's), and the trace (each page's moves, one after the
# other, lead from the frame of its first write to the one it has now).    moved_frames.sh BUILD
# exit 0 passed, 1 failed, 77 cannot
set -u
B=$1
name=moved_frames
. "$(dirname "$0")/lib.inc"

lab_or_kvm
LIMIT=240
T=$dir/t.trace
fragmented() { run run --accel $accel --memory 16M "$@"; }

fragmented --trace "$T" --exec fragment all
ok "every other page is freed, memory is compacted, contents stay" [ "$status" = 0 ]
ok "nothing was dropped from the trace" sh -c "! grep -q dropped '$dir/err'"
ok "no large block was free before, and some are after" said '^blocks 0 [1-9]'
ok "order 9 failed before, and succeeds after" said '^order9 0 1$'
ok "a huge page can be had" said '^huge 1$'
ok "contents are right" said '^wrong 0$'
ok "KVM's dirty log has the frames that moved, and no other" said '^host 0$'
ok "so many as the program says" said 'moved pages in the dirty log +([0-9]+) +\1 +equal'
cp "$dir/out" "$dir/pages"
moved=$(awk '/^page / && $3 != $4' "$dir/pages" | wc -l)
ok "hundreds moved" [ "$moved" -ge 100 ]

run page "$T" --check
ok "every page's life is legal; as many moves as pgmigrate_success" [ "$status" = 0 ]
"$mmvm" trace "$T" --format csv >"$dir/csv"
if command -v python3 >/dev/null; then
	# follow PAGES: what differs between the trace and what the program says
	cat >"$dir/follow.py" <<-'PY'
		import csv, sys
		frames, said = {}, {}
		for line in open(sys.argv[2], errors="replace"):
		    if line.startswith("page "):
		        addr, old, new = (int(x, 16) for x in line.split()[1:])
		        said[addr] = (old, new)
		# Where each page is now, by its moves alone: the first map of an address, then migrate after migrate.
		first, owner, mm = {}, {}, None
		for e in csv.DictReader(open(sys.argv[1])):
		    if e["side"] != "guest" or e["event"] not in ("map", "migrate"):
		        continue
		    pfn, addr = int(e["pfn"]), int(e["addr"])
		    if e["event"] == "migrate":
		        if pfn in owner:
		            owner[addr] = owner.pop(pfn)
		    elif addr in said and addr not in first:
		        mm = mm or e["mm"]
		        assert e["mm"] == mm, e
		        first[addr] = pfn
		        owner[pfn] = addr
		now = {addr: pfn for pfn, addr in owner.items()}
		wrong = [a for a in said if (first.get(a), now.get(a)) != said[a]]
		for a in wrong[:5]:
		    print("%#x: program %s, trace %s to %s" % (a, said[a], first.get(a), now.get(a)))
		print("%d pages, %d moved, %d differ" % (len(said), sum(o != n for o, n in said.values()), len(wrong)))
		sys.exit(bool(wrong) or not said)
	PY
	python3 "$dir/follow.py" "$dir/csv" "$dir/pages" >"$dir/out" 2>"$dir/err"
	status=$?
	ok "the trace's moves lead each page to the frame it has" [ "$status" = 0 ]
	ok "all of them were followed" said "pages, $moved moved, 0 differ"
	awk '/^page / && $3 != $4 && !n++ { $4 = $3 } { print }' "$dir/pages" >"$dir/hidden"
	python3 "$dir/follow.py" "$dir/csv" "$dir/hidden" >"$dir/out" 2>"$dir/err"
	ok "one move that is hidden would be found" said ', 1 differ'
	awk -F, '$5 == "migrate" && n++ % 2 { next } { print }' "$dir/csv" >"$dir/less"
	python3 "$dir/follow.py" "$dir/less" "$dir/pages" >"$dir/out" 2>"$dir/err"
	ok "and so would moves that the trace lacks" said ', [1-9][0-9]* differ'
else
	skip "the trace's moves, page by page" "python3 is missing"
fi
set -- $(awk '/^page / && $3 != $4 { print $2, $3, $4; exit }' "$dir/pages")
run page "$T" "0x$1"
ok "one page followed: its move, from frame to frame" said " migrate .*"

fragmented --exec fragment all --lie
ok "a program that hides one moved page and claims another fails the run" [ "$status" = 1 ]
ok "the hidden one is named" grep -q 'of the region is in the log and was not written' "$dir/err"
ok "the claimed one is named" grep -q 'has got a page and is not in the dirty log' "$dir/err"
ok "and nothing else; each by its witnesses" said '^host [23]$'
finish
