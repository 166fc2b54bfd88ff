#!/usr/bin/env bash
# image.sh DIR: makes a machine to test on: DIR/root.img, a Debian whose init is systemd, which has
# cgroup v2 alone, and its kernel, DIR/vmlinuz and DIR/initrd.img. Takes root and a Debian mirror.
# The programs that tests need are in it; what is tested is on another disk: run.sh.
set -euo pipefail

dir=$1
here=$(cd "$(dirname "$0")" && pwd)
suite=bookworm
packages=(
	systemd-sysv udev dbus linux-image-cloud-amd64 initramfs-tools # what makes it a machine
	iproute2 iptables nftables busybox-static crun                 # what the tests use
	apparmor selinux-policy-default                                # of which the kernel takes one
)

mkdir -p "$dir"
root=$(mktemp -d "$dir/root.XXXXXX")
trap 'rm -rf --one-file-system "$root"' EXIT

echo "image: debootstrap $suite" >&2
list=$(IFS=,; echo "${packages[*]}")
unshare --mount debootstrap --variant=minbase --include="$list" "$suite" "$root/fs" >"$dir/debootstrap.log" 2>&1 || {
	tail -n 20 "$dir/debootstrap.log" >&2
	exit 1
}
cp -L "$root/fs/vmlinuz" "$dir/vmlinuz"
cp -L "$root/fs/initrd.img" "$dir/initrd.img"

install -D -m 644 "$here/guest.service" "$root/fs/etc/systemd/system/guest.service"
chroot "$root/fs" systemctl --quiet enable guest.service
# Nothing comes and goes while the tests look at the machine.
chroot "$root/fs" systemctl --quiet mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer \
	e2scrub_all.timer fstrim.timer systemd-tmpfiles-clean.timer getty.target systemd-timesyncd.service
echo vm >"$root/fs/etc/hostname"

# Debian's policy says how containers are labelled, and does not have the labels.
printf 'SELINUX=permissive\nSELINUXTYPE=default\n' >"$root/fs/etc/selinux/config"
cp "$here/container.cil" "$root/fs/tmp"
chroot "$root/fs" semodule --noreload --install /tmp/container.cil
rm "$root/fs/tmp/container.cil"
rm -rf "$root/fs/var/cache/apt" "$root/fs/var/lib/apt/lists" "$root/fs/boot"

mkfs.ext4 -q -F -E lazy_itable_init=1 -d "$root/fs" "$root/img" 6G
mv "$root/img" "$dir/root.img"
