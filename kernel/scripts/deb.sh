#!/bin/sh
# SPDX-License-Identifier: MIT
# Debian packages of the image, for a real or virtual machine: DEBS of `where`.
. "$(dirname "$0")/lib.sh"
need dpkg-buildpackage dpkg-dev rsync rsync kmod kmod cpio cpio
lock kernel

out=$(image_dir)/debs
[ -n "${TREE_BUILD:-}" ] || [ ! -d "$out" ] || exit 0
[ -z "${BASE:-}" ] || die "deb packages the patched kernel only: leave BASE out"
rm -rf "$(image_dir)/debs"
"$kernel/scripts/image.sh"

# The kernel's packaging writes beside its object folder.
obj=$cache/obj-$(source_id)-$config
rm -f "$cache"/linux-*_amd64.*
build_log "$obj/deb.log" "packages $config" kbuild "$(tree_dir)" "$obj" -j"$(nproc)" \
	KDEB_PKGVERSION="1~$(patches_id)" bindeb-pkg
tmp=$cache/tmp.debs
rm -rf "$tmp"
mkdir "$tmp"
mv "$cache"/linux-image-*.deb "$cache"/linux-headers-*.deb "$tmp/"
rm -f "$cache"/linux-*_amd64.*
mv "$tmp" "$out"
ls "$out"/*.deb >&2
