# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
# Read first by host.sh beside it and by ../../sched's: they are called with the folder of the objects and that of the
# UAPI headers, and leave nothing behind.
set -eu
LC_ALL=C.UTF-8
export LC_ALL
objects=$1 headers=$2
src=$(cd "$(dirname "$0")/.." && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' INT TERM HUP

fail() { echo "FAIL $*" >&2; exit 1; }
pass() { echo "PASS $*"; }

man_pages() {
	for page in "$src"/man/*; do
		said=$(MANWIDTH=80 man --warnings -l "$page" 2>&1 >"$scratch/text")
		[ -z "$said" ] && [ -s "$scratch/text" ] || fail "$page: ${said:-empty}"
	done
	pass "man pages without warnings"
}

# header_compiles NAME FLAG ...: as C and as C++.
header_compiles() {
	header=$1
	shift
	for language in "c -std=c11" "c++ -std=c++11" "c++ -std=c++20"; do
		# shellcheck disable=SC2086
		printf '#include <%s.h>\nint main(void) { return 0; }\n' "$header" |
			${CC:-gcc} -x $language -Wall -Wextra -Wpedantic -Werror "$@" -c -o /dev/null - ||
			fail "$header.h as $language"
	done
}
