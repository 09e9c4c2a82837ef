#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
# host.sh OBJECTS HEADERS: what can be checked of policies and scheduler without the patched kernel. Both
# libraries are installed into a scratch folder and used from there as others would use them.
. "$(dirname "$0")/../../libumcg/tests/host-lib.sh"

for test in "$src"/tests/policy_*.c; do
	name=$(basename "$test" .c)
	"$objects/tests/$name" "$objects/tests/objects" || fail "$name: exit code $?"
	pass "$name"
done

# A policy's object asks for nothing from outside but memcpy() and its like, and has no data that changes.
for policy in "$src"/policies/*.c; do
	object=$objects/policies/$(basename "$policy" .c).o
	asks=$(nm -u "$object" | grep -Ev ' (mem(cpy|set|move)|__stack_chk_fail|_GLOBAL_OFFSET_TABLE_|__(asan|ubsan|tsan)_.*)$' || true)
	[ -z "$asks" ] || fail "$object uses $asks"
	data=$(nm "$object" | grep -E ' [bBdDcC] ' | grep -vE ' (umcg_policy_|[a-z_]*_options$)' || true)
	[ -z "$data" ] || fail "$object has variables: $data"
	lines=$(wc -l <"$policy")
	[ "$lines" -le 220 ] || fail "$policy has $lines lines: a policy is a file that one reads in a sitting"
	grep -qw "$(basename "$policy" .c)" "$src/man/umcg-sched.7" ||
		fail "umcg-sched.7 does not name $(basename "$policy" .c)"
done
pass "policies use nothing but their interface"

# The map, the headers and the man page name the same.
sed -n 's/^[[:space:]]*\(umcg_[a-z_]*\);$/\1/p' "$src/libumcg-sched.map" | sort >"$scratch/map"
cat "$src/include/umcg-sched.h" "$src/include/umcg-host.h" |
	sed -n 's/^[A-Za-z_][A-Za-z0-9_ *]*[ *]\(umcg_[a-z_]*\)[([].*/\1/p' | sort >"$scratch/header"
nm -D --defined-only "$objects/libumcg-sched.so" | sed -n 's/.* [TDR] \(umcg_[a-z_]*\)\(@.*\)*$/\1/p' | sort >"$scratch/symbols"
sed '/^\.SH DESCRIPTION/q' "$src/man/umcg-sched.7" | grep -v '^\.B struct umcg_sched \*umcg_sched_create($' |
	sed -n 's/^\.B.*[ "*]\(umcg_[a-z_]*\)[([].*/\1/p' >"$scratch/page"
echo umcg_sched_create >>"$scratch/page"
sort -o "$scratch/page" "$scratch/page"
[ -s "$scratch/map" ] || fail "libumcg-sched.map names nothing"
for other in header symbols page; do
	diff -u "$scratch/map" "$scratch/$other" >&2 || fail "libumcg-sched.map and $other differ"
done
pass "$(wc -l <"$scratch/map") names in map, headers, library, man page"

man_pages

# Installed, compiled by pkg-config: a program, and the policy that the man page shows.
for room in "$src/../libumcg" "$src"; do
	o=$objects
	[ "$room" = "$src" ] || o=$scratch/libumcg
	make -s --no-print-directory -C "$room" install O="$o" LIBUMCG="$scratch/libumcg" HEADERS="$headers" PREFIX="$scratch/usr" >&2
done
PKG_CONFIG_PATH=$scratch/usr/lib/pkgconfig
export PKG_CONFIG_PATH
flags=$(pkg-config --cflags libumcg-sched)
libs=$(pkg-config --libs libumcg-sched)
for header in umcg-policy umcg-queue umcg-host umcg-sched; do
	# shellcheck disable=SC2086
	header_compiles $header $flags
done
pass "headers in C and C++"

cp -r "$src/examples" "$scratch/copy"
make -s --no-print-directory -C "$scratch/copy" O="$scratch" || fail "the example does not compile"

cat >"$scratch/program.c" <<'END'
#include <stdio.h>
#include <string.h>
#include <umcg-sched.h>
int main(int argc, char **argv)
{
	struct umcg_sched_config config = { .size = sizeof(config), .policy = argc > 1 ? argv[1] : NULL };
	struct umcg_choice choice;
	char why[UMCG_SENTENCE];
	struct umcg_sched *s;

	if (umcg_choose(argv[1], &choice, why))
		return puts(why), 2;
	s = umcg_sched_create(&config, why);
	if (!s)
		return puts(why), 1;
	return umcg_sched_destroy(s);
}
END
# shellcheck disable=SC2086
${CC:-gcc} -std=c11 -Wall -Wextra -Werror $flags -o "$scratch/program" "$scratch/program.c" $libs
(echo '#include <umcg-policy.h>'; echo '#include <umcg-queue.h>'
	sed -n '/^\.SS A whole policy/,/^\.EE/p' "$src/man/umcg-policy.7" | grep -v '^\.' | sed 's/\\-/-/g') >"$scratch/mine.c"
# shellcheck disable=SC2086
${CC:-gcc} -std=c11 -Wall -Wextra -Wno-unused-parameter -Werror -shared -fPIC $flags -o "$scratch/mine.so" "$scratch/mine.c"
export LD_LIBRARY_PATH="$scratch/usr/lib"
for policy in las:quantum_us=500 "$scratch/mine.so"; do
	status=0
	said=$("$scratch/program" "$policy") || status=$?
	case $status$said in
	0) ;;
	1*"has no UMCG"*) ;;
	*) fail "program $policy: status $status, $said" ;;
	esac
done
said=$("$scratch/beside" nonesuch 2>&1) && fail "beside nonesuch"
case $said in
"there is no policy"* | *"has no UMCG"*) ;;
*) fail "beside nonesuch says $said" ;;
esac
pass "installed, compiled by pkg-config, with the man page's policy and the example"

# umcg-run as installed: it finds its library, and without UMCG it says so.
run=$scratch/usr/bin/umcg-run
[ -s "$scratch/usr/share/man/man1/umcg-run.1" ] || fail "umcg-run.1 is not installed"
for option in $("$run" --help | grep -o -- '--[a-z]*'); do
	sed 's/\\-/-/g' "$src/man/umcg-run.1" | grep -q -- "$option" || fail "umcg-run.1 does not name $option"
done
status=0
said=$("$run" true 2>&1) || status=$?
case $status$said in
0 | 3*"has no UMCG"*) ;;
*) fail "umcg-run true: status $status, $said" ;;
esac
said=$("$run" --fallback echo plain 2>/dev/null)
[ "$said" = plain ] || fail "umcg-run --fallback: $said"
# The library is harmless where there is no UMCG, and in programs that umcg-run has not started.
said=$(LD_PRELOAD=$scratch/usr/libexec/libumcg-run.so sh -c 'env echo "$0"' works 2>&1)
[ "$said" = works ] || fail "libumcg-run.so: $said"
asks=$(nm -D -u "$scratch/usr/libexec/libumcg-run.so" | grep -E ' (malloc|calloc|realloc|free|__tls_get_addr|printf|fprintf)(@|$)' || true)
[ -z "$asks" ] || fail "libumcg-run.so uses $asks"
pass "umcg-run as installed"
