#!/bin/sh
# SPDX-License-Identifier: MIT
# Build the kernel, or find it built. An output folder appears complete or not at all.
. "$(dirname "$0")/lib.sh"

out=$(image_dir)
[ -n "${TREE_BUILD:-}" ] || [ ! -f "$out/bzImage" ] || exit 0
need gcc gcc ld binutils make make flex flex bison bison bc bc perl perl git git
# The kernel's own tools want these headers; ask the compiler, not the package manager.
for pair in libelf.h:libelf-dev openssl/bio.h:libssl-dev; do
	echo "#include <${pair%:*}>" | ${CC:-gcc} -E - >/dev/null 2>&1 ||
		die "missing header ${pair%:*}: Debian package ${pair#*:} (make deps installs it)"
done
lock kernel
[ -n "${TREE_BUILD:-}" ] || [ ! -f "$out/bzImage" ] || exit 0

tree=$(tree_dir)
# What does not depend on patches/ takes the tree as it is.
[ -d "$tree" ] && [ -n "${TREE_BUILD:-}${BASE:-}" ] || sh "$kernel/scripts/tree.sh"
obj=$cache/obj-$(source_id)-$config
if [ -n "${TREE_BUILD:-}" ]; then
	what="kernel $config, the tree as it stands"
elif [ -n "${BASE:-}" ]; then
	what="kernel $config without patches" obj=$obj-base
	base=$cache/base-$(source_id)
	if [ ! -f "$base/Makefile" ]; then
		rm -rf "$cache/tmp.base"
		git -C "$tree" archive --prefix=tmp.base/ $tag | tar -x -C "$cache"
		mv "$cache/tmp.base" "$base"
	fi
	tree=$base
else
	what="kernel $config"
	[ "$(cat "$tree/.git/umcg-state")" = "$(patches_id) $(git -C "$tree" rev-parse HEAD)" ] &&
		[ -z "$(git -C "$tree" status --porcelain)" ] ||
		die "$tree has work that kernel/patches does not have.
Build it as it stands:  make -C kernel image TREE_BUILD=1
Make it the series:     commit it, then make -C kernel refresh"
fi

# The configuration: tinyconfig, then the fragments, later lines win. What a fragment asks for and
# Kconfig does not grant (a dependency, a typing error) is an error.
mkdir -p "$obj"
{ cat "$tree/kernel/configs/tiny.config" "$tree/arch/x86/configs/tiny.config"; fragments; } >"$obj/fragments"
[ -z "${BASE:-}" ] || sed -i '/^CONFIG_UMCG=/d' "$obj/fragments"
kbuild "$tree" "$obj" -s KCONFIG_CONFIG=new.config KCONFIG_ALLCONFIG=fragments allnoconfig \
	>"$obj/config.log" 2>&1 || { cat "$obj/config.log" >&2; die "$what: no configuration"; }
cmp -s "$obj/new.config" "$obj/.config" || cp "$obj/new.config" "$obj/.config"
fragments | awk -v base="${BASE:-}" '
	/^CONFIG_/ { split($0, a, "="); want[a[1]] = substr($0, length(a[1]) + 2) }
	/^# CONFIG_.* is not set/ { want[$2] = "n" }
	END { for (k in want) if (!(base && k == "CONFIG_UMCG")) print k, want[k] }' | sort |
	while read -r key value; do
		have=$(sed -n "s/^$key=//p" "$obj/.config")
		[ "${have:-n}" = "$value" ] || echo "  $key=$value asked for, ${have:-n} given"
	done >"$obj/refused"
[ ! -s "$obj/refused" ] || { cat "$obj/refused" >&2; die "$what: Kconfig refused part of kernel/config"; }

# What a build from the beginning prints, a line a step; a build of what has changed prints fewer.
[ "$config" != lab ] || [ -f "$obj/vmlinux" ] || steps=2100
build_log "$obj/build.log" "$what" kbuild "$tree" "$obj" -j"$(nproc)" bzImage

tmp=$cache/tmp.image
rm -rf "$tmp"
mkdir -p "$tmp"
cp "$obj/arch/x86/boot/bzImage" "$obj/System.map" "$tmp/"
cp "$obj/.config" "$tmp/config"
rm -rf "$out"
mv "$tmp" "$out"
say "$out/bzImage"
