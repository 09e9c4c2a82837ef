#!/bin/sh
# SPDX-License-Identifier: MIT
# Debian packages of the image, for a real or virtual machine: DEBS of `where`.
. "$(dirname "$0")/lib.sh"

out=$(image_dir)/debs
[ -n "${TREE_BUILD:-}" ] || [ ! -d "$out" ] || exit 0
need dpkg-buildpackage dpkg-dev rsync rsync kmod kmod cpio cpio
lock kernel
[ -n "${TREE_BUILD:-}" ] || [ ! -d "$out" ] || exit 0
[ -z "${BASE:-}" ] || die "deb packages the patched kernel only: leave BASE out"
rm -rf "$out"
sh "$kernel/scripts/image.sh"

# The image may be older than what tree and object folder hold by now: bring them to its state.
[ -n "${TREE_BUILD:-}" ] || sh "$kernel/scripts/tree.sh"
obj=$cache/obj-$(source_id)-$config
cmp -s "$(image_dir)/config" "$obj/.config" || cp "$(image_dir)/config" "$obj/.config"

# The kernel's packaging writes beside its object folder.
rm -f "$cache"/linux-*_amd64.*
build_log "$obj/deb.log" "packages $config" kbuild "$(tree_dir)" "$obj" -j"$(nproc)" \
	KDEB_PKGVERSION="$(package_version)" bindeb-pkg
tmp=$cache/tmp.debs
rm -rf "$tmp"
mkdir "$tmp"
mv "$cache"/linux-image-*.deb "$cache"/linux-headers-*.deb "$tmp/"
rm -f "$cache"/linux-*_amd64.*
dpkg-deb --fsys-tarfile "$tmp"/linux-image-*.deb | tar -xO --wildcards './boot/vmlinuz-*' |
	cmp - "$(image_dir)/bzImage" || die "the packages hold another kernel than $(image_dir)/bzImage:
was the image built elsewhere? Remove its folder and build both again."
mv "$tmp" "$out"
ls "$out"/*.deb >&2
