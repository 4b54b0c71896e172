#!/bin/sh
# `mmvm run` and `mmvm doctor` from outside: each mistake has its sentence and status; results are whole or
# absent; a kill at any moment leaves nothing behind.    run.sh BUILD    exit 0 passed, 1 failed, 77 cannot run here
set -u
B=$1
name=run
. "$(dirname "$0")/lib.inc"
needs_kvm "$@"

# run ARGS...: a run directly
run() {
	place --accel kvm
	limit "${LIMIT:-120}" "$mmvm" run --accel kvm "$@" >"$dir/out" 2>"$dir/err"
	status=$?
}
swapped_equal() { [ "$(grep -c '  equal ' "$dir/out")" = 2 ] && ! grep -q DIFFER "$dir/out"; }
json_has() { grep -q "\"$2\"" "$1"; }

# ---- what goes well
run --exec hello --json "$dir/r.json"
ok "a program runs and exits 0" [ "$status" = 0 ]
ok "guest and disk agree" swapped_equal
ok "the JSON is there" json_has "$dir/r.json" schema
ok "it ends with an audit" said '^  audit +0 findings'
ok "whose cost stands among the observers" said '^  audit +1 .*memory was read'
for n in 2 4; do
	run --cpus $n --exec hello
	ok "$n CPUs: so does it" [ "$status" = 0 ]
	ok "$n CPUs: and is audited" said '^  audit +0 findings'
done
run --exec hello --swap 0
ok "no swap disk" [ "$status" = 0 ]
ok "no swap disk, no swap row" sh -c "! grep -q 'swap pages' '$dir/out'"
run --exec hello --memory 8M
ok "the least RAM" [ "$status" = 0 ]
head -c 1048576 /dev/zero >"$dir/swap"
run --exec hello --swap "$dir/swap"
ok "a file of zeroes becomes swap" [ "$status" = 0 ]
run --exec hello --swap "$dir/swap"
ok "a swap file is taken again" [ "$status" = 0 ]

# ---- what is wrong
run --nonsense
ok "unknown option" is 2 "unknown option '--nonsense'"
run --memory
ok "option without its value" is 2 "needs a value"
run --memory 1M
ok "1 MiB of RAM" is 2 "at least 8M"
run --memory 48Q
ok "bad size" is 2 "not a size"
run --memory 48M,high=47M
ok "all RAM above 4 GiB" is 2 "at least 8M"
run --timeout -5
ok "negative number" is 2 "not a number"
run --kernel "$dir/none"
ok "missing kernel" is 2 "cannot open kernel"
run --kernel /bin/sh
ok "a program as kernel" is 2 "not a guest kernel"
run --kernel "$0"
ok "a script as kernel" is 2 "not an ELF file"
run --kernel "$dir"
ok "a folder as kernel" is 2 "not a regular file"
run --exec "$dir/none"
ok "missing program" is 2 "cannot open program"
run --exec hello --disk "$dir/none"
ok "missing disk" is 2 "cannot open disk"
echo precious >"$dir/text" && head -c 65536 /dev/zero >>"$dir/text"
run --exec hello --swap "$dir/text"
ok "a file that is not swap is refused" is 2 "mkswap"
ok "and not touched" grep -q precious "$dir/text"
run --exec hello --json "$dir/none/r.json"
ok "JSON into no folder" is 2 "cannot write into that folder"
MMVM_KVM_DEVICE=$dir/kvm run --exec hello
ok "no /dev/kvm" is 3 "no KVM on this host"
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null && [ "$(stat -c %a /dev/kvm)" = 600 ]; then
	# The build may lie where others cannot go: a copy, and its kernel and program.
	cp -r "$mmvm" "$B/images" "$B/user" "$dir/" && chmod -R a+rX "$dir"
	setpriv --reuid=65534 --clear-groups "$dir/mmvm" run --accel kvm --exec hello \
		>"$dir/out" 2>"$dir/err"
	status=$?
	ok "no permission" is 3 "no permission to open /dev/kvm"
fi
if [ "$(id -u)" = 0 ] && mkdir "$dir/full" && mount -t tmpfs -o size=64k none "$dir/full" 2>/dev/null; then
	head -c 1000000 /dev/zero >"$dir/full/fill" 2>/dev/null
	TMPDIR=$dir/full run --exec hello
	ok "swap on a full disk" is 3 "No space left"
	run --exec hello --json "$dir/full/r.json"
	ok "JSON on a full disk" is 3 "No space left"
	ok "nothing half written" [ "$(ls -A "$dir/full")" = fill ]
	umount "$dir/full"
fi
"$mmvm" nonsense >"$dir/out" 2>"$dir/err"
status=$?
ok "unknown command" is 2 "no command 'nonsense'"

# ---- how it ends otherwise
run --exec segv
ok "a program that dies" [ "$status" = 1 ]
run --timeout 1
ok "time limit" [ "$status" = 124 ]
ok "there is no audit then" said '^  audit +none: the guest was stopped'
for s in INT:130 TERM:143; do
	: >"$dir/out"
	"$mmvm" run --accel kvm --json "$dir/s.json" >"$dir/out" 2>"$dir/err" &
	p=$!
	# A shell's background jobs ignore SIGINT until the program says otherwise: let it run first.
	await $p said "up:"
	kill -${s%:*} $p
	wait $p
	status=$?
	ok "SIG${s%:*} stops it" [ "$status" = "${s#*:}" ]
	ok "and the JSON is whole" json_has "$dir/s.json" reports
	rm -f "$dir/s.json"
done

# ---- killed 50 times at random moments: no file, no process, and what was there before stays
mkdir "$dir/tmp" "$dir/json"
echo before >"$dir/json/r.json"
seed=${SEED:-$$}
i=0
strange=0
while [ $i -lt 50 ]; do
	seed=$(((seed * 1103515245 + 12345) % 2147483648))
	TMPDIR=$dir/tmp "$mmvm" run --accel kvm --exec hello --json "$dir/json/r.json" >/dev/null 2>&1 &
	p=$!
	sleep "0.$(printf %03d $((seed / 65536 % 700)))"
	kill -9 $p 2>/dev/null
	wait $p 2>/dev/null
	case $(head -c 6 "$dir/json/r.json" | tr -d '\n') in
	before | "{"*) ;;
	*) strange=$((strange + 1)) ;;
	esac
	[ "$(tail -c 2 "$dir/json/r.json" | tr -d '\n')" = "}" ] || grep -qx before "$dir/json/r.json" ||
		strange=$((strange + 1))
	i=$((i + 1))
done
ok "killed 50 times: no temporary file" empty "$dir/tmp"
ok "killed 50 times: only the result's own name" [ "$(ls -A "$dir/json")" = r.json ]
ok "killed 50 times: the result is whole, new or old" [ $strange = 0 ]

# ---- exits by place: the same exits as by reason
LIMIT=100 run --accel kvm --exec hello --exit-places --json "$dir/places.json"
ok "exits by place: the run" [ "$status" = 0 ]
ok "exits by place: each exit in one line, functions of the guest named" python3 - "$dir/places.json" <<'END'
import json, sys
r = json.load(open(sys.argv[1]))
placed = {}
for p in r["exit_places"]:
    placed[p["reason"]] = placed.get(p["reason"], 0) + p["count"]
reasons = {e["reason"]: e["count"] for e in r["exits"]}
assert r["exits_unplaced"] == 0
assert placed == reasons, (placed, reasons)
assert any(p["device"] == "testchan" and p["function"].startswith("testchan_") for p in r["exit_places"])
END

# ---- doctor
limit 60 "$mmvm" doctor >"$dir/out" 2>"$dir/err"
status=$?
ok "doctor" [ "$status" = 0 ]
ok "doctor names the backend" grep -Eq "KVM backend +(VMX|SVM|PVM)" "$dir/out"
MMVM_KVM_DEVICE=$dir/kvm limit 60 "$mmvm" doctor >"$dir/out" 2>"$dir/err"
ok "doctor without KVM says NO" grep -q "  NO  *$dir/kvm" "$dir/out"
ok "doctor without KVM names no backend" grep -Eq '^  NO +KVM backend +none ' "$dir/out"

finish
