#!/bin/sh
# SPDX-License-Identifier: MIT
# The patched kernel's package installed, and the kernel that boots by default. Takes the package of
# `make -C kernel deb` from $UMCG_DEBS if there is one of these patches and this configuration, else builds it here.
# Whether the machine has to be restarted then stands where Debian says so: /run/reboot-required.
. "$(dirname "$0")/lib.sh"

wanted=$(. "$project/kernel/scripts/lib.sh" && package_version)

# Name and release of the lab's kernel package that is installed in the wanted version, if any.
installed() {
	dpkg-query -W -f '${db:Status-Abbrev} ${Version} ${Package}\n' 'linux-image-*-umcg' 2>/dev/null |
		sed -n "s/^ii  *$wanted linux-image-//p"
}

step "choose the kernel that boots"
command -v update-grub >/dev/null ||
	die "this machine does not boot with GRUB; install the package of \`make -C kernel deb\` yourself"
menu=/boot/grub/grub.cfg
default=/etc/default/grub.d/umcg-lab.cfg
choose() {
	[ "$(cat $default 2>/dev/null)" != "GRUB_DEFAULT='$1'" ] || return 0
	changed
	mkdir -p "${default%/*}"
	echo "GRUB_DEFAULT='$1'" >$default
}

step "install the kernel, version $wanted"
release=$(installed)
if [ -z "$release" ]; then
	set -- "$UMCG_DEBS"/linux-image-*-umcg_"${wanted}"_*.deb
	if [ ! -f "$1" ]; then
		step "build the kernel package (none of version $wanted in $UMCG_DEBS; this takes minutes)"
		changed
		packages '$(KERNEL_PACKAGES) $(DEB_PACKAGES) git'
		make -s -C "$project/kernel" deb
		debs=$(make -s -C "$project/kernel" where | sed -n 's/^DEBS=//p')
		set -- "$debs"/linux-image-*-umcg_"${wanted}"_*.deb
		step "install the kernel, version $wanted"
	fi
	changed
	# The name that the kernel will have in GRUB's menu; the package makes the menu.
	root=$(grub-probe --target=fs_uuid / || true)
	release=${1##*/linux-image-}
	release=${release%%_*}
	choose "gnulinux-advanced-$root>gnulinux-$release-advanced-$root"
	apt-get install -y --allow-downgrades "$(readlink -f "$1")"
	release=$(installed)
	[ -n "$release" ] || die "apt-get installed $1, but dpkg does not know it as installed"
	touch /run/reboot-required
fi

step "make $release the kernel that boots by default"
id_of() { sed -n "s/^[[:space:]]*$1 .*menuentry_id_option '\($2\)'.*/\1/p" $menu | head -n 1; }
[ -n "$(id_of menuentry "gnulinux-$release-advanced-[^']*")" ] || update-grub
entry=$(id_of menuentry "gnulinux-$release-advanced-[^']*")
[ -n "$entry" ] || die "update-grub has not put it into $menu"
submenu=$(id_of submenu "gnulinux-advanced-[^']*")
choice=${submenu:+$submenu>}$entry
choose "$choice"
grep -qF "set default=\"$choice\"" $menu || update-grub

[ "$(uname -r)" = "$release" ] || touch /run/reboot-required
if [ -e /run/reboot-required ]; then
	echo "UMCG Lab: $release boots from the next start on"
fi
