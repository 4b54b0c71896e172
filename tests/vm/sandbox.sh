#!/bin/sh
# What a running mmvm has given up, seen from outside in /proc, and what --sandbox and --user do.
#    sandbox.sh BUILD    exit 0 passed, 1 failed, 77 cannot run here
set -u
B=$1
name=sandbox
. "$(dirname "$0")/lib.inc"
needs_kvm "$@"
where=${MMVM_LAB_INSIDE:+in the lab}
where=${where:-directly}

echo kept >"$dir/secret"
# begin ARGS...: a run that goes on, with a descriptor that it has no use for
begin() {
	"$mmvm" run --accel kvm "$@" --exec swapstress --passes 1000 >"$dir/out" 2>"$dir/err" 7<"$dir/secret" &
	p=$!
	await $p said "up:"
}
end() {
	kill $p
	wait $p 2>/dev/null
}
# every FIELD VALUES: that field of all threads has one of the values
every() {
	for t in /proc/$p/task/*; do
		sed -n "s/^$1:[^0-9a-f]*//p" "$t/status"
	done >"$dir/values"
	[ -s "$dir/values" ] && ! grep -Evxq "$2" "$dir/values"
}
field() { sed -n "s/^$1:[^0-9a-f]*//p" "/proc/$p/task/$2/status"; }
has_console() { cat /proc/$p/task/*/comm | grep -q console; }
no_descriptor() { [ ! -e "/proc/$p/fd/7" ]; }

begin
threads=$(ls /proc/$p/task | wc -l)
ok "there are a main thread, a vCPU and a device's" [ "$threads" -ge 3 ]
ok "every thread has a filter" every Seccomp 2
ok "no thread can gain privileges" every NoNewPrivs 1
ok "threads of vCPUs and devices have no capabilities" [ "$(cat /proc/$p/task/*/status | grep -c '^CapEff:.0*$')" -ge $((threads - 2)) ]
ok "the main thread has none but to write results anywhere" eval '[ "$(field CapEff $p)" = 0000000000000000 ] ||
	[ "$(field CapEff $p)" = 0000000000000002 ]'
ok "what was inherited is closed" no_descriptor
ok "no core file" grep -Eq '^Max core file size +0 +0 ' "/proc/$p/limits"
ok "few files" eval '[ "$(awk "/^Max open files/ { print \$5 }" /proc/$p/limits)" -lt 1024 ]'
end

# Input makes a thread that reads it: it may ioctl a little, and open nothing.
mkfifo "$dir/typed"
"$mmvm" run --accel kvm -i --exec swapstress --passes 1000 >"$dir/out" 2>"$dir/err" <"$dir/typed" &
p=$!
exec 9>"$dir/typed"
ok "there is a thread of the console" await $p has_console
ok "it has a filter, too" await $p every Seccomp 2
end
exec 9>&-
# Inside the lab QEMU is the sandbox of what measures (doc/security.md).
if [ -z "${MMVM_LAB_INSIDE:-}" ]; then
	"$mmvm" profile zero_fault --accel kvm >"$dir/out" 2>"$dir/err" &
	p=$!
	ok "mmvm profile: every thread has a filter" await $p every Seccomp 2
	end
else
	skip "mmvm profile: every thread has a filter" "the lab is its sandbox"
fi

begin --sandbox off
ok "--sandbox off: no filter" every Seccomp 0
ok "--sandbox off: the descriptor is still there" eval '! no_descriptor'
end

run run --accel kvm --sandbox sometimes --exec hello
ok "an unknown word" is 2 "none of on off"
run run --accel kvm --user nobody-of-that-name --exec hello
ok "an unknown user" [ "$status" = 2 ]
run run --accel kvm --user root --exec hello
ok "root is no other user" [ "$status" = 2 ]
run run --accel kvm --user 65534 --sandbox off --exec hello
ok "another user without the sandbox" [ "$status" = 2 ]
if [ "$(id -u)" = 0 ]; then
	begin --user 65534
	ok "--user: all threads are that user's" every Uid '65534.65534.65534.65534'
	ok "--user: and of no other group" every Groups ' *'
	ok "--user: without capabilities" every CapEff 0000000000000000
	end
	mkdir "$dir/open" && chmod 755 "$dir" && chmod 777 "$dir/open"
	run run --accel kvm --user 65534 --json "$dir/open/r.json" --exec hello
	ok "--user: the run ends well" [ "$status" = 0 ]
	ok "--user: the result is that user's" [ "$(stat -c %u "$dir/open/r.json" 2>/dev/null)" = 65534 ]
	run run --accel kvm --user 65534 --json "$dir/r.json" --exec hello
	ok "--user: where that user may not write, it is said" is 3 "cannot write"
else
	skip "--user" "not root"
fi
# All observers at once, and a test with everything: nothing that is needed is forbidden.
run run --accel kvm --memory 16M --swap 32M --sample 100 --access all --trace "$dir/t" --stacks "$dir/s" --counters \
	--exit-places --json "$dir/r.json" --exec swapstress --mb 14 --passes 1
ok "all observers work inside" [ "$status" = 0 ]
run run --accel kvm --dirty bitmap --sample 100 --exec dirtyset --mb 2 --rounds 2
ok "so does the exact dirty log" [ "$status" = 0 ]
ok "and nobody complained" sh -c "! grep -q sandbox '$dir/err'"
finish
