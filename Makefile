# The whole developer interface:
#
#   make          ./podrun: one static file that carries containerd, runc and the CNI plugins with it
#   make test     all tests, on pods that really run; needs root
#   make test-v2  the core of those, in a virtual machine with systemd and cgroup v2, with both cgroup drivers
#   make lint     formatting, vet, static analysis
#   make bench    how fast it is; PODMAN=1 installs Debian's podman and measures beside it
#   make demo     a pod from a manifest to nothing left of it; needs root
#   make clean
#
# Each target installs the Debian packages that it misses; PACKAGES=ignore leaves that to you.

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)

# Nothing here links C, but runc: bundle/Makefile.
export CGO_ENABLED := 0

packages := .ci/packages
building := gcc libc6-dev libseccomp-dev
running  := iptables nftables busybox-static iproute2 crun
# A containerd that is not podrun's, with what goes with it: podrun works on that one, too.
daemon   := containerd runc containernetworking-plugins
machine  := qemu-system-x86 debootstrap debian-archive-keyring e2fsprogs
podman   := podman catatonit conmon skopeo $(daemon)

# These look at the whole machine for leaks, so nothing may run beside them.
alone := podrun/test|podrun/test/bench

.PHONY: all bundle test test-v2 lint bench demo clean root

all: podrun

# Always asked for: go knows best what has changed.
.PHONY: podrun
podrun: bundle
	go build -trimpath -buildvcs=false -tags bundle -ldflags '-s -w -X podrun/cmd.version=$(VERSION)' -o $@ .

bundle:
	@$(packages) $(building)
	@$(MAKE) --no-print-directory -C bundle

test: root podrun
	@$(packages) $(running) $(daemon)
	go test $$(go list ./... | grep -v -x -E '$(alone)')
	go test -count=1 -tags bundle ./bundle ./container/stack
	PODRUN_BIN=$(CURDIR)/podrun go test -count=1 -timeout 40m -p 1 ./test ./test/bench

test-v2: root podrun
	@$(packages) $(machine)
	@$(MAKE) --no-print-directory test/vm/out/root.img
	test/vm/run.sh
	test/vm/run.sh selinux

test/vm/out/root.img: test/vm/image.sh test/vm/guest.service test/vm/container.cil
	test/vm/image.sh $(@D)

lint:
	@unformatted=$$(gofmt -l .); [ -z "$$unformatted" ] || { echo "make: gofmt these:" $$unformatted >&2; exit 1; }
	go vet ./...
	@if command -v golangci-lint >/dev/null; then set -x; golangci-lint run; \
	else set -x; go run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...; fi

bench: root podrun
	@$(packages) $(running) $(if $(PODMAN),$(podman))
	PODRUN_BIN=$(CURDIR)/podrun go run ./test/bench

demo: root podrun
	@$(packages) $(running)
	PODRUN_BIN=$(CURDIR)/podrun ./test/demo.sh

clean:
	rm -rf podrun test/vm/out
	@$(MAKE) --no-print-directory -C bundle clean

root:
	@[ "$$(id -u)" = 0 ] || { echo "make: pods need root: run this as root" >&2; exit 1; }
