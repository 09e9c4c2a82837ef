#!/bin/sh
# SPDX-License-Identifier: MIT
# Build the conformance programs and the tests of libumcg and the scheduler, boot the image, run them.
# SANITIZE=address|thread: only the libraries' tests, built with the libraries and the sanitizer.
. "$(dirname "$0")/lib.sh"
need gcc gcc python3 python3
echo '#include <gc.h>' | gcc -E - >/dev/null 2>&1 || die "missing gc.h: Debian package libgc-dev
(make deps in the project's folder installs it)"

case ${SANITIZE:-} in
"") san= ;;
address) san=asan ;;
thread) san=tsan ;;
*) die "SANITIZE=$SANITIZE: choose address (with undefined) or thread" ;;
esac

sh "$kernel/scripts/image.sh"
sh "$kernel/scripts/headers.sh"
image=$(image_dir)/bzImage
headers=$(headers_dir)

# One folder a clone: two clones that share a cache do not build over each other.
out=$cache/tests-$(echo "$kernel" | digest)
lib=$out/libumcg${san:+-$san} sched=$out/sched${san:+-$san}
mkdir -p "$out"
(
	lock tests
	[ -n "$san" ] || make -s -C "$kernel/selftests" O="$out/selftests" HEADERS="$headers" >&2
	make -s -C "$kernel/libumcg" tests O="$lib" HEADERS="$headers" ${san:+SAN=$san} >&2
	make -s -C "$kernel/sched" tests O="$sched" LIBUMCG="$lib" HEADERS="$headers" ${san:+SAN=$san} >&2
)

# Only what today's sources make; an old program may still be there.
set --
for source in "$kernel"/selftests/umcg_*.c "$kernel"/libumcg/tests/lib_*.c* "$kernel"/libumcg/examples/*.c \
	"$kernel"/sched/tests/sched_*.c "$kernel"/sched/examples/*.c; do
	name=$(basename "${source%.c*}")
	case $source in
	"$kernel"/selftests/*) [ -z "$san" ] || continue; program=$out/selftests/$name ;;
	"$kernel"/libumcg/tests/*) program=$lib/tests/$name ;;
	"$kernel"/sched/tests/*) program=$sched/tests/$name ;;
	"$kernel"/sched/examples/*) program=$sched/tests/example_$name ;;
	*) program=$lib/tests/example_$name ;;
	esac
	[ -x "$program" ] || die "$program was not built"
	set -- "$@" "$program"
done

# The same programs where places pass on.
for folder in libumcg sched; do
	[ $folder = sched ] && built=$sched || built=$lib
	while read -r name; do
		[ -x "$built/tests/${name}_pass" ] || die "$built/tests/${name}_pass was not built"
		set -- "$@" "$built/tests/${name}_pass"
	done <"$kernel/$folder/tests/passing"
done

# umcg-run is no test, but what its tests run; they are built without sanitizers, as what they run is.
with=
[ -n "$san" ] || {
	for source in "$kernel"/sched/run/tests/run_*.c*; do
		name=$(basename "${source%.c*}")
		[ -x "$sched/tests/$name" ] || die "$sched/tests/$name was not built"
		set -- "$@" "$sched/tests/$name"
	done
	with="--with $sched/tests/umcg-run --with $sched/tests/libumcg-run.so"
}

# SIZES=short: programs that repeat things themselves do so less often, and those that `limits` marks long are
# left out. SIZES=rest: what that leaves out, and nothing else.
long=if-named
short=$kernel/libumcg/tests/short
case ${SIZES:-} in
short)
	SIZES=$(tr '\n' ' ' <"$short")
	[ "${T:-*}" != "*" ] || long=never
	;;
rest)
	SIZES=
	names=$(sed 's/_[A-Z]*=.*//' "$short")
	T=$(for name in $names; do echo "$name ${name}_pass"; done)
	long=always
	;;
esac

# How much longer programs may take than `limits` says, which is for a machine that does nothing else.
# Names with "=" on the command line become the environment of init.
slow=4
[ "$config" = lab ] || slow=16
[ -z "$san" ] || slow=$((slow * 8))
exec python3 "$kernel/boot/run.py" --image "$image" --cache "$cache" --cpus "${CPUS:-2}" \
	--memory "$([ -z "$san" ] && echo 2G || echo 4G)" \
	--append "${PREEMPT:+preempt=$PREEMPT} ${PIN:+PIN=$PIN} ${SIZES:-}" --repeat "${REPEAT:-1}" --filter "${T:-*}" \
	--long $long --slow $slow $with --args "${ARGS:-}" ${TIMEOUT:+--timeout "$TIMEOUT"} "$@"
