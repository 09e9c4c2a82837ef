#!/bin/sh
# SPDX-License-Identifier: MIT
# What can be checked of libumcg on the machine's own kernel: no guest, no kernel source.
. "$(dirname "$0")/lib.sh"
need gcc gcc g++ g++ pkg-config pkg-config man man-db

"$kernel/scripts/headers.sh"
headers=$(headers_dir)
out=$cache/tests-$(echo "$kernel" | digest)
mkdir -p "$out"
lock tests
make -s -C "$kernel/libumcg" check O="$out/libumcg" HEADERS="$headers"
