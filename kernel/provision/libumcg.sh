#!/bin/sh
# SPDX-License-Identifier: MIT
# libumcg, libumcg-sched, umcg-run and the header linux/umcg.h installed under /usr/local.
. "$(dirname "$0")/lib.sh"

step "install the tools that libumcg is built with"
packages gcc libc6-dev git pkg-config

step "make the header linux/umcg.h"
make -s -C "$project/kernel" headers
where=$(make -s -C "$project/kernel" where)
headers=$(echo "$where" | sed -n 's/^HEADERS=//p')
library=$(echo "$where" | sed -n 's/^LIBUMCG=//p')

# The cache names the library after everything that goes into it.
step "build libumcg and umcg-run and install them in /usr/local"
mark=/usr/local/lib/libumcg.installed
if [ "$(cat $mark 2>/dev/null)" != "${library##*/}" ]; then
	changed
	make -s -j"$(nproc)" -C "$project/kernel/libumcg" install PREFIX=/usr/local O="$UMCG_CACHE/libumcg" HEADERS="$headers"
	make -s -j"$(nproc)" -C "$project/kernel/sched" install PREFIX=/usr/local O="$UMCG_CACHE/sched" LIBUMCG="$UMCG_CACHE/libumcg" \
		HEADERS="$headers"
	ldconfig
	echo "${library##*/}" >$mark
fi
