#!/bin/sh
# SPDX-License-Identifier: MIT
# libumcg and libumcg-sched built against the header and installed into the cache.
. "$(dirname "$0")/lib.sh"
lock headers

sh "$kernel/scripts/headers.sh"
out=$(libumcg_dir)
[ ! -d "$out" ] || exit 0
need gcc gcc
tmp=$cache/tmp.libumcg
rm -rf "$tmp"
make -s -j"$(nproc)" -C "$kernel/libumcg" install PREFIX="$out" DESTDIR="$tmp/root" O="$tmp/obj" HEADERS="$(headers_dir)"
make -s -j"$(nproc)" -C "$kernel/sched" install PREFIX="$out" DESTDIR="$tmp/root" O="$tmp/sched" LIBUMCG="$tmp/obj" HEADERS="$(headers_dir)"
mv "$tmp/root$out" "$out"
rm -rf "$tmp"
