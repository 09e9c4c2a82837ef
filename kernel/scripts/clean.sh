#!/bin/sh
# SPDX-License-Identifier: MIT
# Remove outputs; the tree may hold somebody's work, so only with FORCE=1.
. "$(dirname "$0")/lib.sh"
lock kernel

rm -rf "$cache"/image-* "$cache"/obj-* "$cache"/headers-* "$cache"/libumcg-* "$cache"/tests-* \
	"$cache"/base-* "$cache"/cost-* "$cache"/tmp.* "$cache"/accel-*
[ -z "${FORCE:-}" ] || rm -rf "$cache"/tree-* "$cache"/download
