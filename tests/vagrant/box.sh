#!/bin/sh
# SPDX-License-Identifier: MIT
# box.sh FOLDER: make a Vagrant box for libvirt out of Debian's packages, once; print its path. Like the
# public box: Debian 12, its kernel, GRUB, one ext4 partition, the user vagrant with the well-known key.
# Unlike it: no more packages than the machine needs to come up, but for what takes minutes to install there.
set -eu
out=$1
here=$(cd "$(dirname "$0")" && pwd)
arch=$(dpkg --print-architecture)

# What the box adds to Debian's minimum, so that it boots, takes an address and lets Vagrant in. And Python and
# the compiler, which without KVM take two minutes each to install; the machine still asks for them by name.
packages=systemd-sysv,udev,dbus,libpam-systemd,procps,iproute2,ifupdown,isc-dhcp-client,openssh-server
packages=$packages,sudo,rsync,ca-certificates,qemu-guest-agent,python3,gcc,libc6-dev,git,pkg-config,initramfs-tools,zstd,grub-pc,linux-image-cloud-$arch

name=box-$( (cat "$0"; echo "$packages") | sha256sum | cut -c1-12)
box=$out/$name
[ ! -f "$box/lab.box" ] || { echo "$box/lab.box"; exit 0; }

mkdir -p "$out"
tmp=$(mktemp -d "$out/tmp.box.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM
uuid=$(cat /proc/sys/kernel/random/uuid)

# For QEMU without KVM: no page table switched at every system call, no clock behind a device.
# Nor a check of the timer at boot, which a busy host makes fail: the kernel panics then.
quick="mitigations=off clocksource=tsc tsc=reliable no_timer_check"

# The names are what they are in the public box; GRUB's own configuration is written by the first
# update-grub in the machine.
cat >"$tmp/setup" <<SETUP
#!/bin/sh
set -eu
cd "\$1"
echo bookworm >etc/hostname
printf '127.0.0.1 localhost bookworm\n::1 localhost\n' >etc/hosts
echo 'UUID=$uuid / ext4 errors=remount-ro 0 1' >etc/fstab
printf 'auto lo eth0\niface lo inet loopback\niface eth0 inet dhcp\n' >etc/network/interfaces
sed -i 's/^GRUB_CMDLINE_LINUX=.*/GRUB_CMDLINE_LINUX="net.ifnames=0 console=tty0 console=ttyS0 $quick"/; s/^GRUB_TIMEOUT=.*/GRUB_TIMEOUT=0/' \\
	etc/default/grub
printf 'MODULES=list\nCOMPRESS=zstd\nCOMPRESSLEVEL=1\n' >etc/initramfs-tools/conf.d/quick
printf 'virtio_pci\nvirtio_blk\next4\n' >>etc/initramfs-tools/modules
chroot . useradd --create-home --shell /bin/bash vagrant
echo 'vagrant ALL=(ALL) NOPASSWD: ALL' >etc/sudoers.d/vagrant
chmod 440 etc/sudoers.d/vagrant
mkdir -m 700 home/vagrant/.ssh
cp "$here/vagrant.pub" home/vagrant/.ssh/authorized_keys
chmod 600 home/vagrant/.ssh/authorized_keys
chroot . chown -R vagrant: /home/vagrant/.ssh
mkdir -p boot/grub/i386-pc
cp usr/lib/grub/i386-pc/*.mod usr/lib/grub/i386-pc/*.lst boot/grub/i386-pc/
chroot . grub-mkimage -O i386-pc -o /boot/grub/i386-pc/core.img -p '(hd0,msdos1)/boot/grub' biosdisk part_msdos ext2
cp usr/lib/grub/i386-pc/boot.img boot/grub/i386-pc/
for kernel in boot/vmlinuz-*; do
	version=\${kernel#boot/vmlinuz-}
	cat >boot/grub/grub.cfg <<GRUB
linux /boot/vmlinuz-\$version root=UUID=$uuid ro net.ifnames=0 console=tty0 console=ttyS0 $quick
initrd /boot/initrd.img-\$version
boot
GRUB
done
rm -rf var/cache/apt/archives/*.deb
SETUP
chmod +x "$tmp/setup"

echo "box: packages" >&2
# The lists stay: apt-get update then has to ask, but not to get and unpack them.
mmdebstrap --quiet --variant=minbase --include="$packages" --customize-hook="$tmp/setup" \
	--aptopt='Acquire::Languages "none"' --aptopt='Acquire::PDiffs "false"' --skip=cleanup/apt/lists \
	bookworm "$tmp/root.tar" >&2

# A file system that belongs to root is made without being root.
echo "box: disk" >&2
mkdir "$tmp/root"
truncate -s 12G "$tmp/disk.raw"
fakeroot sh -eu -c '
	cd "$1"
	tar -xf root.tar -C root --exclude="./dev/*"
	mke2fs -q -F -t ext4 -U "$2" -E offset=1048576 -d root disk.raw 12287m
' sh "$tmp" "$uuid" >&2
echo '2048,,L,*' | sfdisk --quiet --wipe-partitions never "$tmp/disk.raw" >&2
# GRUB: the boot sector beside the partition table, the rest in the gap before the partition.
dd if="$tmp/root/boot/grub/i386-pc/boot.img" of="$tmp/disk.raw" bs=440 count=1 conv=notrunc status=none
dd if="$tmp/root/boot/grub/i386-pc/core.img" of="$tmp/disk.raw" bs=512 seek=1 conv=notrunc status=none

mkdir "$tmp/box"
qemu-img convert -O qcow2 "$tmp/disk.raw" "$tmp/box/box.img"
echo '{"provider": "libvirt", "format": "qcow2", "virtual_size": 12}' >"$tmp/box/metadata.json"
# Named, so that Vagrant need not try some thirty systems over ssh.
echo 'Vagrant.configure("2") { |config| config.vm.guest = :debian }' >"$tmp/box/Vagrantfile"
tar -czf "$tmp/lab.box" -C "$tmp/box" metadata.json Vagrantfile box.img
rm -rf "$tmp/root" "$tmp/root.tar" "$tmp/disk.raw" "$tmp/box" "$tmp/setup"
chmod 755 "$tmp"
rm -rf "$out"/box-*
mv "$tmp" "$box"
echo "$box/lab.box"
