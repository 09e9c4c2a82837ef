#!/bin/sh
# SPDX-License-Identifier: MIT
# Build the conformance programs and libumcg's tests, boot the image, run them.
. "$(dirname "$0")/lib.sh"
need gcc gcc python3 python3

"$kernel/scripts/image.sh"
"$kernel/scripts/headers.sh"
image=$(image_dir)/bzImage
headers=$(headers_dir)

# One folder a clone: two clones that share a cache do not build over each other.
out=$cache/tests-$(echo "$kernel" | digest)
mkdir -p "$out"
(
	lock tests
	make -s -C "$kernel/selftests" O="$out/selftests" HEADERS="$headers" >&2
	[ ! -f "$kernel/libumcg/Makefile" ] ||
		make -s -C "$kernel/libumcg" tests O="$out/libumcg" HEADERS="$headers" >&2
)

# Only what the sources of today make; an old program may still lie there.
set --
for source in "$kernel"/selftests/umcg_*.c "$kernel"/libumcg/tests/*.c*; do
	name=$(basename "${source%.c*}")
	case $source in
	"$kernel"/selftests/*) program=$out/selftests/$name ;;
	*) program=$out/libumcg/tests/$name ;;
	esac
	[ ! -x "$program" ] || set -- "$@" "$program"
done

[ "$config" = lab ] && slow=1 || slow=4
exec python3 "$kernel/boot/run.py" --image "$image" --cache "$cache" --cpus "${CPUS:-2}" \
	--append "${PREEMPT:+preempt=$PREEMPT}" --repeat "${REPEAT:-1}" --filter "${T:-*}" --slow $slow \
	--args "${ARGS:-}" ${TIMEOUT:+--timeout "$TIMEOUT"} "$@"
