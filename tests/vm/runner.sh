#!/bin/sh
# tests/run itself, over tests made up here: what failed is run once more, and only what failed.    runner.sh BUILD
set -u
B=$1
name=runner
. "$(dirname "$0")/lib.inc"

fake=$dir/fake
mkdir -p "$fake/tests/model" "$fake/lab"
touch "$fake/lab/initrd"
ln -s "$(cd "$B" && pwd)/tests/limit" "$fake/tests/limit"
for t in "$(dirname "$0")"/../model/*.c; do
	printf '#!/bin/sh\nexit 0\n' >"$fake/tests/model/$(basename "$t" .c)"
done
# fails_once FILE WORDS OTHERWISE: a program that does WORDS and fails the first time
fails_once() {
	printf '#!/bin/sh\necho "$*" >>"$0.args"\n[ -e "$0.once" ] || { touch "$0.once"; %s; exit 1; }\n%s\n' "$2" "$3" >"$1"
}
fails_once "$fake/tests/model/buddy" 'echo first time' 'exit 0'
fails_once "$fake/mmvm" 'printf "  FAIL  zone.x\n40 passed, 1 failed, 2 skipped\n"' 'echo "1 passed, 0 failed, 0 skipped"'
chmod +x "$fake"/tests/model/* "$fake/mmvm"
models=$(ls "$fake/tests/model" | grep -cv '\.')
again() { rm -f "$fake"/*.once "$fake"/tests/model/*.once "$fake"/*.args; }
tests_run() {
	limit 200 env ONLY="model guest" STRICT= "$@" "$(dirname "$0")/../run" "$fake" >"$dir/out" 2>"$dir/err"
	status=$?
}

tests_run
ok "what fails once and then passes does not fail the run" [ "$status" = 0 ]
ok "it is counted once" said "^$((models + 41)) passed, 0 failed, 2 skipped"
ok "its first output is shown" said 'first time'
ok "it is named" said '^unsteady, failed beside others and passed alone:.* model-buddy'
ok "of a suite, only what failed is run again" grep -q -- '-k zone.x$' "$fake/mmvm.args"
again
tests_run STRICT=1
ok "STRICT=1: what failed once has failed" [ "$status" = 1 ]
ok "both are counted" said "^$((models + 39)) passed, 2 failed, 2 skipped"
again
for t in vma slab pagecache; do
	fails_once "$fake/tests/model/$t" : 'exit 0'
done
tests_run
ok "more than three that are unsteady fail the run" [ "$status" = 1 ]
sed -i 's/exit 0$/exit 1/' "$fake/tests/model/buddy"
again
tests_run
ok "what fails twice fails the run" said ' 1 failed, 2 skipped|[2-9] failed, 2 skipped'
finish
