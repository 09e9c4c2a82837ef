#!/bin/sh
# SPDX-License-Identifier: MIT
# What can be checked of libumcg, the policies and the man pages on the machine's own kernel: no guest, no kernel
# source.
. "$(dirname "$0")/lib.sh"
need gcc gcc g++ g++ pkg-config pkg-config man man-db

sh "$kernel/scripts/headers.sh"
headers=$(headers_dir)
out=$cache/tests-$(echo "$kernel" | digest)
mkdir -p "$out"
lock tests
for page in "$kernel"/man/*.2; do
	said=$(MANWIDTH=80 man --warnings -l "$page" 2>&1 >"$out/page")
	[ -z "$said" ] && [ -s "$out/page" ] || die "$page: ${said:-empty}"
done
make -s -C "$kernel/libumcg" check O="$out/libumcg" HEADERS="$headers"
make -s -C "$kernel/sched" check O="$out/sched" LIBUMCG="$out/libumcg" HEADERS="$headers"
