#!/bin/sh
# make install and make deb: what is installed runs from there, its manual pages and completion are those of its
# options.    install.sh BUILD
set -u
B=$1
name=install
. "$(dirname "$0")/lib.inc"
top=$(cd "$(dirname "$0")/../.." && pwd)
build=$(cd "$B" && pwd)

# The build that is installed is the one under test: make finds nothing to do, or says why.
make -s -C "$top" B="$build" SETUP=no install DESTDIR="$dir/root" PREFIX=/opt/mm >"$dir/out" 2>"$dir/err"
status=$?
ok "make install" [ "$status" = 0 ]
mmvm=$dir/root/opt/mm/bin/mmvm
cd "$dir" || exit 1
run --version
ok "the installed program runs" said '^mmvm [0-9.]+, contract version'
run test --list -k buddy
ok "it finds its guest beside it" said '^buddy\.'
if have_kvm; then
	run run --accel kvm --exec hello --timeout 60
	ok "and boots it" said 'hello from user mode'
elif command -v qemu-system-x86_64 >/dev/null; then
	run run --accel lab --exec hello
	ok "and boots it" said 'hello from user mode'
fi

man=$dir/root/opt/mm/share/man/man1
ok "a page for each command" [ "$(ls "$man" | wc -l)" = "$(($("$mmvm" help | grep -c '^  [a-z]') + 5))" ]
for page in "$man"/*.1; do
	command=$(basename "$page" .1 | sed 's/^mmvm-*//; s/-/ /')
	[ -n "$command" ] || continue
	"$mmvm" help "$command" | grep -o -- '^  *-[-a-z, ]*' | grep -o -- '--*[a-z][-a-z]*' >"$dir/options"
	missing=
	while read -r option; do
		grep -qF -- "$(printf %s "$option" | sed 's/-/\\-/g')" "$page" || missing="$missing $option"
	done <"$dir/options"
	ok "mmvm-$command(1) has every option of its help" [ -z "$missing" ]
done
if command -v man >/dev/null; then
	ok "man reads it without a warning" sh -c "[ -z \"\$(man --warnings -l '$man/mmvm-run.1' 2>&1 >/dev/null)\" ]"
fi

# complete WORD...: what bash offers for the last word
cat >"$dir/complete" <<'EOF'
. "$1"
shift
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_mmvm
printf '%s\n' "${COMPREPLY[@]}"
EOF
complete() { bash "$dir/complete" "$dir/root/opt/mm/share/bash-completion/completions/mmvm" mmvm "$@" | sort | tr '\n' ' '; }
if command -v bash >/dev/null; then
	ok "completion of a command" [ "$(complete pro)" = "profile " ]
	ok "completion of an option" [ "$(complete run --exit)" = "--exit-places " ]
	ok "completion of a value" [ "$(complete run --accel '')" = "auto kvm lab " ]
	ok "completion of bench's second word" [ "$(complete bench d)" = "dirty " ]
	ok "completion behind it" [ "$(complete bench dirty --q)" = "--quick " ]
	: >"$dir/afile"
	ok "completion of a file" [ "$(complete report "$dir/afi")" = "$dir/afile " ]
fi

if command -v dpkg-deb >/dev/null; then
	make -s -C "$top" B="$build" SETUP=no deb >"$dir/out" 2>"$dir/err"
	status=$?
	ok "make deb" [ "$status" = 0 ]
	deb=$(ls "$build"/mmvm_*_amd64.deb)
	dpkg-deb -I "$deb" >"$dir/out" 2>"$dir/err"
	ok "the package says what it is" said '^ Package: mmvm$'
	dpkg-deb -x "$deb" "$dir/deb"
	mmvm=$dir/deb/usr/bin/mmvm
	run test --list -k buddy
	ok "what is in it runs" said '^buddy\.'
	ok "its files are root's" sh -c "! dpkg-deb -c '$deb' | grep -v ' root/root '"
	rm -rf "$build/deb" "$deb"
else
	skip "make deb" "dpkg-deb is missing"
fi
make -s -C "$top" B="$build" SETUP=no uninstall DESTDIR="$dir/root" PREFIX=/opt/mm >"$dir/out" 2>"$dir/err"
ok "make uninstall leaves nothing" [ -z "$(find "$dir/root" -name '*mmvm*')" ]
finish
