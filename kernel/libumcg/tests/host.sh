#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
# host.sh OBJECTS HEADERS: what can be checked without the patched kernel. The library is installed into
# a scratch folder and used from there as others would use it; on a kernel without UMCG it must say so.
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

for tool in pkg-config man; do
	command -v $tool >/dev/null || fail "missing $tool (Debian packages pkg-config, man-db)"
done

# The map, the header, the shared library and the man pages name the same functions.
sed -n 's/^[[:space:]]*\(umcg_[a-z_]*\);$/\1/p' "$src/libumcg.map" | sort >"$scratch/map"
sed -n 's/^[A-Za-z_][A-Za-z0-9_ ]*[ *]\(umcg_[a-z_]*\)(.*/\1/p' "$src/include/libumcg.h" | sort >"$scratch/header"
nm -D --defined-only "$objects/libumcg.so" | sed -n 's/.* T \(umcg_[a-z_]*\)\(@.*\)*$/\1/p' | sort >"$scratch/symbols"
(cd "$src/man" && ls -- *.3 | sed 's/\.3$//') | sort >"$scratch/pages"
sed -n 's/^\.BR \(umcg_[a-z_]*\) (3)$/\1/p' "$src/man/libumcg.7" | sort -u >"$scratch/overview"
[ -s "$scratch/map" ] || fail "libumcg.map names nothing"
for other in header symbols pages overview; do
	diff -u "$scratch/map" "$scratch/$other" >&2 || fail "libumcg.map and $other differ"
done
for page in $(cat "$scratch/map"); do
	grep -q "^\.B.*$page" "$src/man/$page.3" || fail "$page.3 does not show $page"
done
pass "$(wc -l <"$scratch/map") functions in map, header, library, man pages"

for page in "$src"/man/*; do
	said=$(MANWIDTH=80 man --warnings -l "$page" 2>&1 >"$scratch/page")
	[ -z "$said" ] && [ -s "$scratch/page" ] || fail "$page: ${said:-empty}"
done
pass "man pages without warnings"

# Installed, copied, compiled by pkg-config.
make -s --no-print-directory -C "$src" install O="$objects" HEADERS="$headers" PREFIX="$scratch/usr" >&2
PKG_CONFIG_PATH=$scratch/usr/lib/pkgconfig
export PKG_CONFIG_PATH
flags=$(pkg-config --cflags libumcg)
for language in "c -std=c11" "c++ -std=c++11" "c++ -std=c++20"; do
	# shellcheck disable=SC2086
	printf '#include <libumcg.h>\nint main(void) { return umcg_enabled(); }\n' |
		${CC:-gcc} -x $language -Wall -Wextra -Wpedantic -Werror $flags -c -o /dev/null - ||
		fail "the header as $language"
done
cp -r "$src/examples" "$scratch/copy"
make -s --no-print-directory -C "$scratch/copy" O="$scratch/shared"
make -s --no-print-directory -C "$scratch/copy" O="$scratch/static" STATIC=1
pass "headers in C and C++, examples copied and compiled by pkg-config, shared and static"

# On this machine's own kernel.
"$objects/tests/lib_nosys" || fail "lib_nosys: exit code $?"
pass "lib_nosys on $(uname -r)"
status=0
"$objects/tests/lib_cxx" || status=$?
case $status in
0) umcg=yes ;;
77) umcg=no ;;
*) fail "lib_cxx: exit code $status" ;;
esac
LD_LIBRARY_PATH=$scratch/usr/lib
export LD_LIBRARY_PATH
for example in "$scratch"/shared/* "$scratch"/static/*; do
	name=$(basename "$example") status=0
	"$example" >"$scratch/out" 2>"$scratch/err" || status=$?
	if [ $umcg = yes ]; then
		[ $status = 0 ] && [ ! -s "$scratch/err" ] || fail "$name: exit code $status, $(cat "$scratch/err")"
	else
		[ $status = 1 ] && [ ! -s "$scratch/out" ] && [ "$(wc -l <"$scratch/err")" = 1 ] &&
			grep -q 'no UMCG' "$scratch/err" || fail "$name does not say that there is no UMCG"
	fi
done
pass "examples on $(uname -r): UMCG there: $umcg"
