#!/bin/sh
# SPDX-License-Identifier: MIT
# Write the commits of the tree to patches/, so that the same commits always give the same bytes.
. "$(dirname "$0")/lib.sh"
need git git
lock kernel

tree=$(tree_dir)
[ -d "$tree" ] || die "no tree yet: make -C kernel tree"
cd "$tree"
[ -z "$(git status --porcelain)" ] || die "$tree has changes that are not committed:
$(git status --short | head -n 10)"
[ "$(git rev-list --count $tag..HEAD)" != 0 ] || die "$tree has no commits on top of $tag"

new=$kernel/patches.new
rm -rf "$new"
trap 'rm -rf "$new"' EXIT
# What a user's git configuration could change is said outright.
git -c diff.algorithm=histogram -c diff.noprefix=false -c diff.mnemonicPrefix=false \
	-c format.thread=false -c format.signOff=false -c format.useAutoBase=false -c format.from=false \
	format-patch -q --no-signature --zero-commit --no-numbered --full-index --no-renames \
	--subject-prefix=PATCH --stat=72 -o "$new" $tag..HEAD
rm -f "$kernel"/patches/*.patch
mv "$new"/*.patch "$kernel/patches/"
echo "$(patches_id) $(git rev-parse HEAD)" >.git/umcg-state
say "$(git rev-list --count $tag..HEAD) patches in kernel/patches"
