#!/bin/sh
# The main job, small: a program with more memory than the guest has, directly and in the lab. Guest and host count
# the same, the JSON says what the table says, no swap means OOM and no crash, and a run that is stopped or killed
# in the middle of swapping leaves nothing.    swap.sh BUILD    exit 0 passed, 1 failed, 77 cannot run here
set -u
name=swap
B=$1
. "$(dirname "$0")/lib.inc"
small="--memory 12M,high=2M --swap 32M"
equal_rows() { [ "$(grep -c '  equal ' "$dir/out")" -ge 2 ] && ! grep -q DIFFER "$dir/out"; }

# check_json FILE BACKEND: valid, complete, and consistent in itself
check_json() {
	python3 - "$1" "$2" <<'END'
import json, sys
r = json.load(open(sys.argv[1]))

def expect(what, good):
    if not good:
        print("# JSON:", what)
        sys.exit(1)

expect("schema", r["schema"] == 1 and r["complete"] is True)
expect("outcome", r["outcome"]["kind"] == "exited" and r["outcome"]["exit_status"] == 0)
expect("backend", sys.argv[2] in ("any", r["host"]["backend"]))
c = r["guest_counters"]
swap = [d for d in r["disks"] if d["role"] == "swap"][0]
expect("it swapped", c["pswpout"] > 500 and c["pswpin"] > 500)
expect("pages written = sectors / 8", c["pswpout"] * 8 == swap["sectors_written"])
# The header of the swap area is one page read that is no swap-in.
expect("pages read = sectors / 8 - header", (c["pswpin"] + 1) * 8 == swap["sectors_read"])
expect("no disk errors", swap["errors"] == 0)
expect("checks", len(r["checks"]) >= 2 and all(k["equal"] and k["guest"] == k["host"] for k in r["checks"]))
expect("major faults", 0 < c["pgmajfault"] <= c["pgfault"])
expect("zones", {z["name"] for z in r["zones"]} == {"DMA", "Normal"} or len(r["zones"]) == 3)
expect("managed", sum(z["managed"] for z in r["zones"]) * 4096 <= r["config"]["ram_low_bytes"] + r["config"]["ram_high_bytes"])
times = [s["t_ns"] for s in r["samples"]]
expect("samples in order", times == sorted(times) and len(times) > 2)
outs = [s["pswpout"] for s in r["samples"]]
expect("counts only rise", outs == sorted(outs) and outs[-1] <= c["pswpout"])
expect("dirty pages", r["dirty"]["pages_distinct"] <= r["dirty"]["pages_total"])
expect("samples add up", sum(s["dirty"] for s in r["samples"]) <= r["dirty"]["pages_total"])
expect("exits", sum(e["count"] for e in r["exits"]) > 100)
expect("meminfo", r["reports"]["meminfo"].startswith("MemTotal:"))
expect("VMM memory", 0 < r["memory"]["vmm_bytes"] < 64 << 20)
END
}

# ---- in the lab: the default run, and again through --accel auto's choice
if have_lab; then
	LIMIT=240 run run --accel lab -v --json "$dir/lab.json"
	ok "lab, default: every word right" [ "$status" = 0 ]
	ok "lab, default: guest and disk count the same" equal_rows
	ok "lab, default: the backend is named" said 'backend +SVM'
	ok "lab, default: the JSON agrees" check_json "$dir/lab.json" SVM
	LIMIT=120 run run --accel lab --memory 12M --swap 0 --exec swapstress --mb 18
	ok "lab, no swap: status 1" [ "$status" = 1 ]
	# The only program may not be killed: Linux's words, and the end of the machine.
	LIMIT=120 run run --accel lab --memory 12M --swap 0 --exec oomhog --protect 1
	ok "lab, nobody who may be killed: status 4" [ "$status" = 4 ]
	ok "lab, nobody who may be killed: Linux's words" said 'Out of memory and no killable processes\.\.\.'
	ok "lab, nobody who may be killed: the panic" said 'Kernel panic: System is deadlocked on memory'
fi
needs_kvm "$@"

# ---- directly
# shellcheck disable=SC2086
LIMIT=300 run run --accel kvm -v --sample 20 $small --exec swapstress --mb 18 --json "$dir/r.json"
ok "directly: every word right" [ "$status" = 0 ]
ok "directly: the program says so" said 'every word right'
ok "directly: guest and disk count the same" equal_rows
ok "directly: the JSON agrees" check_json "$dir/r.json" any

# ---- no swap: the program is killed, the kernel goes on
LIMIT=200 run run --accel kvm --memory 12M,high=2M --swap 0 --exec swapstress --mb 18 --json "$dir/oom.json"
ok "no swap: status 1" [ "$status" = 1 ]
ok "no swap: killed, with the reason" said '[Oo]ut of memory: Killed process [0-9]+ \(swapstress\)'
ok "no swap: the kernel ends in order" said 'the guest exited with status'
ok "no swap: counted" python3 -c 'import json, sys
r = json.load(open(sys.argv[1]))
assert r["guest_counters"]["oom_kill"] == 1, r["guest_counters"]["oom_kill"]
assert r["outcome"]["kind"] == "exited"' "$dir/oom.json"
run run --accel kvm --memory 12M --swap 0 --exec hello
ok "no swap: a program that fits" [ "$status" = 0 ]

# ---- stopped and killed in the middle of it, at moments of chance
mkdir "$dir/tmp" "$dir/cwd"
seed=${SEED:-$$}
# Everything takes longer in the lab.
rounds=${MMVM_LAB_INSIDE:+8}
rounds=${rounds:-30}
i=0
bad=0
while [ $i -lt $rounds ]; do
	seed=$(((seed * 1103515245 + 12345) % 2147483648))
	# shellcheck disable=SC2086
	(cd "$dir/cwd" && TMPDIR=$dir/tmp exec setsid "$mmvm" run --accel kvm $small --exec swapstress --mb 18 \
		--json r.json >"$dir/out" 2>"$dir/err") &
	p=$!
	sleep "$((seed / 65536 % 2)).$(printf %03d $((seed / 131072 % 1000)))"
	signal=$([ $((i % 2)) = 0 ] && echo TERM || echo KILL)
	kill -$signal $p 2>/dev/null
	wait $p 2>/dev/null
	status=$?
	case $signal:$status in
	TERM:143 | KILL:137 | *:0) ;;
	*) bad=$((bad + 1)) && echo "# round $i: SIG$signal gave status $status" ;;
	esac
	session_gone "$p" || bad=$((bad + 1))
	if [ -e "$dir/cwd/r.json" ]; then
		python3 -c 'import json, sys; json.load(open(sys.argv[1]))' "$dir/cwd/r.json" || bad=$((bad + 1))
		rm "$dir/cwd/r.json"
	fi
	i=$((i + 1))
done 2>/dev/null
ok "stopped or killed: statuses, processes, JSON (seed ${SEED:-$$})" [ $bad = 0 ]
ok "stopped or killed: no file" sh -c '[ -z "$(ls -A "$1" "$2" | grep -v :)" ]' sh "$dir/tmp" "$dir/cwd"

finish
