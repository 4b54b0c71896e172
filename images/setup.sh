#!/bin/sh
# Install what is missing of packages.txt when root; otherwise say the one command to type.
# Exit status: 0 all there, 1 something is missing and was not installed.
set -eu
list=$(sed 's/#.*//' "$(dirname "$0")/packages.txt" | tr -s '[:space:]' ' ')

if ! command -v dpkg-query >/dev/null 2>&1; then
	echo "mmvm: this is not a Debian system, so nothing was checked or installed." >&2
	echo "mmvm: install the equivalents of:$list, then run with SETUP=no." >&2
	exit 1
fi
missing=
for package in $list; do
	case $(dpkg-query -W -f='${db:Status-Abbrev}' "$package" 2>/dev/null) in
	ii*) ;;
	*) missing="$missing $package" ;;
	esac
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ]; then
	echo "mmvm: packages are missing. Type this, then try again:" >&2
	echo "    sudo apt-get install --no-install-recommends -y$missing" >&2
	exit 1
fi
echo "mmvm: installing$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086
apt-get install -y -qq --no-install-recommends $missing >/dev/null
