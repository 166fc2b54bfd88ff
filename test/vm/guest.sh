#!/bin/bash
# What the machine runs, from the disk that run.sh made: the tests, on cgroup v2, with both drivers.
# It is a service as any, so that a cgroup of systemd's is what podrun is called from.
set -u
cd /tests
export HOME=/root PODRUN_BIN=/tests/podrun PODRUN_PROBE=/tests/probe PODRUN_SLOWNESS=5

# The kernel would load them when the first pod asks for them; the machine is too slow for that.
modprobe -a overlay bridge veth nf_tables nft_chain_nat nft_masq nft_nat nft_fib_ipv4 nft_fib_ipv6 \
	nft_compat xt_comment xt_mark xt_multiport xt_addrtype xt_MASQUERADE xt_nat

failed=0
run() { # DIR, what to run of it
	[ -d "$1" ] || return 0
	(cd "$1" && exec ./package.test -test.v -test.parallel 1 -test.timeout 55m -test.run "$2") || failed=1
}
run sandbox/cgroup .
run container/stack Cgroup
for driver in $(cat drivers); do
	echo "guest: with the driver $driver"
	PODRUN_CGROUP_DRIVER=$driver run test "$(cat select)"
done
exit "$failed"
