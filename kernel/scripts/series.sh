#!/bin/sh
# SPDX-License-Identifier: MIT
# Every patch of the series by itself: applied to those before it, compiled, booted. One object folder, so that
# each costs what it changes; where it changes sched.h, that is everything. The trees are of this script alone.
CONFIG=series
. "$(dirname "$0")/lib.sh"
need git git busybox busybox-static python3 python3

sh "$kernel/scripts/tree.sh"
lock series
tree=$(tree_dir)
work=$cache/series-$(source_id)
obj=$work.obj
log=$work.log
git -C "$tree" worktree prune
[ -d "$work" ] || git -C "$tree" worktree add -q --detach "$work" $tag
git -C "$work" checkout -qf $tag
mkdir -p "$obj"

for patch in "$kernel"/patches/*.patch; do
	name=$(basename "$patch" .patch)
	git -C "$work" apply --index "$patch" || die "$name: does not apply to what those before it make"
	{ cat "$work/kernel/configs/tiny.config" "$work/arch/x86/configs/tiny.config"; fragments; } >"$obj/fragments"
	kbuild "$work" "$obj" -s KCONFIG_CONFIG=new.config KCONFIG_ALLCONFIG=fragments allnoconfig \
		>"$log" 2>&1 || { cat "$log" >&2; die "$name: no configuration"; }
	cmp -s "$obj/new.config" "$obj/.config" || cp "$obj/new.config" "$obj/.config"
	build_log "$log" "$name" kbuild "$work" "$obj" -j"$(nproc)" bzImage
	! grep -nE 'warning:' "$log" >&2 || die "$name: the compiler warns"
	# busybox without arguments prints its applets and ends with 0.
	python3 "$kernel/boot/run.py" --image "$obj/arch/x86/boot/bzImage" --cache "$cache" --cpus "${CPUS:-2}" \
		"$(command -v busybox)" || die "$name: does not boot"
done
