#!/bin/sh
# SPDX-License-Identifier: MIT
# The header for programs, out of the series alone: kernel source is not needed.
. "$(dirname "$0")/lib.sh"
need git git
lock headers

name=include/uapi/linux/umcg.h
out=$(headers_dir)
[ -n "${TREE_BUILD:-}" ] || [ ! -f "$out/include/linux/umcg.h" ] || exit 0

tmp=$cache/tmp.headers
rm -rf "$tmp"
mkdir -p "$tmp/include/linux"
trap 'rm -rf "$tmp"' EXIT
if [ -n "${TREE_BUILD:-}" ]; then
	cp "$(tree_dir)/$name" "$tmp/include/linux/"
else
	set -- "$kernel"/patches/*.patch
	[ -f "$1" ] || die "no patches in kernel/patches, so there is no linux/umcg.h"
	# Without the ceiling git would look for a repository above and apply nothing.
	(cd "$tmp" && GIT_CEILING_DIRECTORIES=$cache git apply --include=$name "$@")
	[ -f "$tmp/$name" ] || die "no patch in kernel/patches has $name"
	mv "$tmp/$name" "$tmp/include/linux/"
	rm -r "$tmp/include/uapi"
fi
mkdir -p "$out"
# Same content keeps its time stamp: nothing is rebuilt for it.
cmp -s "$tmp/include/linux/umcg.h" "$out/include/linux/umcg.h" && exit 0
rm -rf "$out"
mv "$tmp" "$out"
