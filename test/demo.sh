#!/bin/bash
# make demo: the pod of examples/ comes up, answers, and goes without a trace.
# Everything lives in a temporary directory; images come from a registry on
# the loopback interface. Traffic stays on this machine.
set -euo pipefail
cd "$(dirname "$0")/.."

podrun=${PODRUN_BIN:-$PWD/podrun}
[ -x "$podrun" ] || { echo "demo: run make first: no $podrun" >&2; exit 1; }
[ "$(id -u)" = 0 ] || { echo "demo: run this as root" >&2; exit 1; }

dir=$(mktemp -d /tmp/prd-XXXXXX)
export PODRUN_ROOT=$dir/r PODRUN_RUN_DIR=$dir/s
mkdir "$dir/bin"
ln -s "$podrun" "$dir/bin/podrun"
PATH=$dir/bin:$PATH

# run prints a command as it would be typed, then runs it.
run() {
	printf '\n\033[1m# %s\033[0m\n' "$*"
	"$@"
}

# fetch gets a page from HOST PORT, with patience for a server that is just
# starting, and with nothing but bash.
fetch() {
	printf '\n\033[1m# GET http://%s:%s/\033[0m\n' "$1" "$2"
	for _ in $(seq 100); do
		page=$({ printf 'GET / HTTP/1.0\r\n\r\n' >&3; timeout 2 cat <&3; } 3<>"/dev/tcp/$1/$2") 2>/dev/null || page=
		case $page in
		*' 200 OK'*) printf '%s\n' "${page##*$'\r\n\r\n'}" && return ;;
		esac
		sleep 0.05
	done
	echo "demo: http://$1:$2/ does not answer" >&2
	return 1
}

registry=
finish() {
	code=$?
	trap - EXIT
	if [ -S "$PODRUN_RUN_DIR/containerd/containerd.sock" ]; then
		podrun rm --all --force >/dev/null || code=1
		podrun stack stop || code=1
	fi
	[ -z "$registry" ] || kill "$registry"
	wait
	rm -rf "$dir" || code=1
	exit "$code"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

go build -o "$dir/registry" ./test/images/cmd
go build -o "$dir/leakcheck" ./test/leakcheck/cmd
mkfifo "$dir/ready"
"$dir/registry" >"$dir/ready" &
registry=$!
read -r -t 20 image <"$dir/ready" || { echo "demo: the registry does not start" >&2; exit 1; }
echo "$image is served; podrun's directories are below $dir"

leakcheck=("$dir/leakcheck" -root "$PODRUN_ROOT" -run-dir "$PODRUN_RUN_DIR")
run podrun version
run podrun pull localhost:5000/busybox:1
run podrun up examples/web.yaml
podrun rm --force web >/dev/null # the first pod leaves the pause image and the network's configuration
"${leakcheck[@]}" save "$dir/before.json"

run podrun up examples/web.yaml
run podrun ps -o wide
fetch 127.0.0.1 8080
fetch "$(podrun ps web -o json | sed -n 's/.*"podIP": *"\([^"]*\)".*/\1/p' | head -n 1)" 80
run podrun exec web -- hostname
run podrun logs web -c writer
run podrun rm web
run podrun ps

printf '\n\033[1m# what is left of it\033[0m\n'
"${leakcheck[@]}" diff "$dir/before.json"
echo nothing
