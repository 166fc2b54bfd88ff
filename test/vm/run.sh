#!/usr/bin/env bash
# make test-v2: the core of the integration tests, in a machine with systemd and cgroup v2;
# with the argument selinux, those of SELinux, in that machine with SELinux.
# The console of the machine is in test/vm/out/console.log. No hardware helps it: it is slow.
#
#   VM_RUN      which tests of ./test, as for go test -run; those when it is not set
#   VM_DRIVERS  with which cgroup drivers; with both when it is not set
#   VM_TIMEOUT  when to turn the machine off, as for timeout(1); 2h when it is not set
set -euo pipefail
cd "$(dirname "$0")/../.."
export CGO_ENABLED=0

out=test/vm/out
packages=(sandbox/cgroup container/stack test)
select='TestCore$|TestLeavesTheCaller|TestTakeover'
drivers='systemd cgroupfs'
options=
if [ "${1:-}" = selinux ]; then
	packages=(test)
	select='TestCore$/^SELinux$'
	drivers=systemd
	options=security=selinux
fi

payload=$(mktemp -d "$out/payload.XXXXXX")
trap 'rm -rf "$payload"' EXIT
mkdir "$payload/fs"
for package in "${packages[@]}"; do
	mkdir -p "$payload/fs/$package"
	go test -c -tags bundle -o "$payload/fs/$package/package.test" "./$package"
	[ ! -d "$package/testdata" ] || cp -r "$package/testdata" "$payload/fs/$package"
done
go build -o "$payload/fs/probe" ./test/probe
cp -r podrun examples test/vm/guest.sh "$payload/fs"
printf '%s\n' "${VM_RUN:-$select}" >"$payload/fs/select"
printf '%s\n' "${VM_DRIVERS:-$drivers}" >"$payload/fs/drivers"
mkfs.ext4 -q -F -d "$payload/fs" "$payload/img" 1G

machine=(
	-machine q35 -accel tcg,thread=multi -cpu max -smp 2 -m 4G
	-display none -no-reboot -nic none
	-kernel "$out/vmlinuz" -initrd "$out/initrd.img"
	-append "root=/dev/vda rw console=ttyS0 quiet mitigations=off tsc=reliable no5lvl panic=-1 $options"
	-drive "file=$out/root.img,if=virtio,format=raw,snapshot=on"
	-drive "file=$payload/img,if=virtio,format=raw,snapshot=on"
	-serial "file:$out/console.log" -serial stdio
)
timeout --foreground --kill-after=10s "${VM_TIMEOUT:-2h}" \
	nice -n 10 qemu-system-x86_64 "${machine[@]}" </dev/null | tee "$out/test.log"
tail -n 1 "$out/test.log" | grep -q -x 'guest: success 0' || {
	echo "run: the tests failed, or the machine did: see $out/console.log" >&2
	exit 1
}
