#!/bin/sh
# SPDX-License-Identifier: MIT
# build.sh [FOLDER]: the machine that builds its kernel because nobody brought packages along. In a VM without KVM
# that takes hours, so here it is a Debian 12 with GRUB in a folder (in FOLDER, or /var/tmp), in namespaces of
# its own, on this machine's CPUs: kernel/provision/kernel.sh builds, installs and chooses the kernel, and run
# again it does nothing. Whether that kernel boots the other test sees.
set -eu
project=$(cd "$(dirname "$0")/../.." && pwd)
fails() { echo "build.sh: $*" >&2; exit 1; }

if [ "${1-}" != --inside ]; then
	[ "$(id -u)" = 0 ] || fails "a machine of its own needs root: sudo $0"
	work=$(mktemp -d "${1:-/var/tmp}/umcg-lab-machine.XXXXXX")
	trap 'rm -rf --one-file-system "$work"' EXIT
	trap 'exit 1' HUP INT TERM
	unshare --mount --pid --fork --kill-child "$0" --inside "$work"
	exit
fi

# Every mount and process from here on ends with this one.
work=$2
root=$work/machine
mkdir "$root"
mount --bind "$root" "$root"	# GRUB asks what is mounted on /

echo "a Debian 12"
mmdebstrap --quiet --variant=minbase --include=grub-pc,initramfs-tools,zstd,procps,python3,sudo bookworm "$root"
# As the Vagrantfile's copy: what git ignores stays out, and so does git's own folder.
mkdir "$root/vagrant"
rsync --archive --copy-links --filter=':- .gitignore' --exclude=.git/ "$project/" "$root/vagrant/"
for folder in dev sys; do mount --rbind "/$folder" "$root/$folder"; done
mount -t proc proc "$root/proc"
mount -t tmpfs tmpfs "$root/run"
cp /etc/resolv.conf "$root/etc/"
machine() { chroot "$root" env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"; }

# GRUB finds no disk that it could boot from in a folder, and says so; its menu is made all the same.
machine update-grub
machine /vagrant/kernel/provision/kernel.sh >"$work/said" || fails "kernel.sh: code $?"
grep '^UMCG Lab: ' "$work/said"
grep -q '^UMCG Lab: build the kernel package' "$work/said" || fails "it has not built anything"
package=$(machine dpkg-query -W -f '${Package}\n' 'linux-image-*-umcg') || fails "no kernel is installed"
release=${package#linux-image-}
[ -s "$root/boot/vmlinuz-$release" ] || fails "the package has no kernel"
[ -e "$root/run/reboot-required" ] || fails "it does not say that a restart is needed"
grep -q "set default=\"[^\"]*gnulinux-$release-advanced-" "$root/boot/grub/grub.cfg" ||
	fails "GRUB would boot another kernel than $release"

echo "once more"
state() {
	(cd "$root" && find boot etc var/cache/umcg-lab var/lib/dpkg/status -type f -printf '%T@ %s %p\n' | sort -k 3)
}
state >"$work/before"
machine /vagrant/kernel/provision/kernel.sh >"$work/said" || fails "a second run: code $?"
! grep '^UMCG Lab: .*\(build\|install\|choose\|make\)' "$work/said" || fails "a second run did something"
state | diff "$work/before" - || fails "a second run has changed files"
echo "built, installed and chosen: $release"
