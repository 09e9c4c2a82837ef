#!/bin/sh
# SPDX-License-Identifier: MIT
# initramfs.sh OUT INIT FILE...: a root file system of busybox, INIT as /init and FILEs in /tests, with the
# shared libraries of those that are not linked statically.
# Same input, same bytes (names sorted, times fixed), so that instruction counts repeat.
set -eu
LC_ALL=C
export LC_ALL

out=$1 init=$2
shift 2
busybox=${BUSYBOX:-/bin/busybox}
for pair in cpio:cpio "$busybox:busybox-static"; do
	command -v "${pair%:*}" >/dev/null || {
		echo "missing ${pair%:*}: Debian package ${pair#*:} (make deps installs it)" >&2
		exit 1
	}
done
if LC_ALL=C ldd "$busybox" >/dev/null 2>&1; then
	echo "$busybox needs shared libraries: install the Debian package busybox-static" >&2
	exit 1
fi

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
trap 'exit 1' INT TERM HUP
mkdir -p "$root/bin" "$root/tests" "$root/dev" "$root/proc" "$root/sys" "$root/tmp" "$root/root"
cp "$busybox" "$root/bin/busybox"
cp "$init" "$root/init"
[ $# = 0 ] || cp "$@" "$root/tests/"
for file; do
	# A static program and a file that is no program have none, which ldd calls an error.
	ldd "$file" 2>/dev/null || true
done | sed -n 's,^\(.* => \)\{0\,1\}[[:space:]]*\(/[^ ]*\) (0x.*,\2,p' | sort -u >"$root/libraries"
while read -r library; do
	mkdir -p "$root${library%/*}"
	cp -L "$library" "$root$library"
done <"$root/libraries"
rm "$root/libraries"
find "$root" -exec touch -h -d @1704067200 {} +
find "$root" ! -type l -exec chmod 755 {} +
(cd "$root" && find . | sort | cpio --quiet --reproducible --renumber-inodes -o -H newc -R 0:0) >"$out"
