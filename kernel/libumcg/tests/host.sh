#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
# host.sh OBJECTS HEADERS: what can be checked without the patched kernel. The library is installed into
# a scratch folder and used from there as others would use it; on a kernel without UMCG it must say so.
. "$(dirname "$0")/host-lib.sh"

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

man_pages

# Installed, copied, compiled by pkg-config.
make -s --no-print-directory -C "$src" install O="$objects" HEADERS="$headers" PREFIX="$scratch/usr" >&2
PKG_CONFIG_PATH=$scratch/usr/lib/pkgconfig
export PKG_CONFIG_PATH
flags=$(pkg-config --cflags libumcg)
# shellcheck disable=SC2086
header_compiles libumcg $flags
cp -r "$src/examples" "$scratch/copy"
make -s --no-print-directory -C "$scratch/copy" O="$scratch/shared"
make -s --no-print-directory -C "$scratch/copy" O="$scratch/static" STATIC=1
pass "headers in C and C++, examples copied and compiled by pkg-config, shared and static"

# A program may close the library while threads live that have used it.
${CC:-gcc} -std=c11 -Wall -Wextra -Werror -pthread -o "$scratch/dlclose" "$src/tests/host_dlclose.c" -ldl
"$scratch/dlclose" "$objects/libumcg.so" || fail "dlclose: exit code $?"
pass "the library closed before a thread ends that has used it"
"$objects/tests/lib_stamp" || fail "lib_stamp: exit code $?"
pass "lib_stamp"

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
