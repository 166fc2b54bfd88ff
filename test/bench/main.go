// Command bench measures podrun beside podman, and beside the floor: the calls
// of runc and of the CNI plugins that no way of making a pod can do without,
// one after the other. The candidates take turns in one run, because machines
// are noisy; the medians and their ratios are what counts. What need not survive
// a reboot is on a tmpfs for all of them, as /run is on most machines.
//
//	make bench
//	go run ./test/bench -n 15
//
// Podman takes part when it is installed. Everything is done in temporary
// directories and removed at the end. Root is required.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"podrun/test/images"
)

// pod is two busybox containers and one hostPort.
const pod = `apiVersion: v1
kind: Pod
metadata:
  name: bench
spec:
  containers:
  - name: sleep
    image: %[1]s
    imagePullPolicy: IfNotPresent
    command: [sleep, "1000"]
  - name: web
    image: %[1]s
    imagePullPolicy: IfNotPresent
    command: [httpd, -f, -p, "80"]
    ports: [{containerPort: 80, hostPort: 18080}]
`

func main() {
	n := flag.Int("n", 12, "how often each thing is done")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *n); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, n int) (err error) {
	if os.Geteuid() != 0 {
		return errors.New("pods are made: run it as root")
	}
	dir, err := os.MkdirTemp("/tmp", "prb-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	run, unmount, err := mountRun(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unmount()) }()
	image, closeRegistry, err := serve(ctx)
	if err != nil {
		return err
	}
	defer closeRegistry()
	file := filepath.Join(dir, "pod.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, pod, image), 0o600); err != nil {
		return err
	}
	starts, err := measureStarts(ctx, dir, run, n)
	if err != nil {
		return err
	}
	pods, err := measurePods(ctx, dir, run, file, image, n)
	if err != nil {
		return err
	}
	print(os.Stdout, append(starts, pods...))
	return nil
}

// mountRun mounts a tmpfs below dir and returns where.
func mountRun(dir string) (run string, unmount func() error, err error) {
	run = filepath.Join(dir, "run")
	if err := os.Mkdir(run, 0o700); err != nil {
		return "", nil, err
	}
	if err := unix.Mount("tmpfs", run, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=700"); err != nil {
		return "", nil, fmt.Errorf("mount tmpfs: %w", err)
	}
	return run, func() error { return unix.Unmount(run, 0) }, nil
}

// serve serves the busybox image.
func serve(ctx context.Context) (image string, stop func(), err error) {
	r, err := images.Serve("127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	img, err := images.Busybox()
	if err == nil {
		err = r.Push(ctx, "busybox:1", img)
	}
	if err != nil {
		r.Close()
		return "", nil, err
	}
	return r.Ref("busybox:1"), r.Close, nil
}

// measureStarts measures how long it takes until a containerd is there.
func measureStarts(ctx context.Context, dir, run string, n int) ([]series, error) {
	first := series{name: "first start, bundle freshly unpacked", goal: "≤ 2 s"}
	later := series{name: "later starts of containerd", goal: "≤ 200 ms"}
	for range max(3, n/4) {
		p, err := newPodrun(filepath.Join(dir, "f"), filepath.Join(run, "f"))
		if err != nil {
			return nil, err
		}
		err = errors.Join(
			first.time(func() error { return p.do(ctx, "stack", "start") }),
			p.do(ctx, "stack", "stop"),
			later.time(func() error { return p.do(ctx, "stack", "start") }),
			p.close(ctx),
		)
		if err != nil {
			return nil, err
		}
	}
	return []series{first, later}, nil
}

// candidate is a way of making the pod.
type candidate interface {
	up(ctx context.Context) error
	down(ctx context.Context) error
	close(ctx context.Context) error
}

// measurePods lets the candidates make and remove the pod in turns. The first
// turn, that fills caches, does not count.
func measurePods(ctx context.Context, dir, run, file, image string, n int) (out []series, err error) {
	p, err := newPodrun(filepath.Join(dir, "p"), filepath.Join(run, "p"))
	if err != nil {
		return nil, err
	}
	p.manifest = file
	all := []candidate{p}
	defer func() {
		for _, c := range all {
			err = errors.Join(err, c.close(context.WithoutCancel(ctx)))
		}
	}()
	if err := p.do(ctx, "pull", image); err != nil {
		return nil, err
	}
	up := []series{{name: "podrun up", goal: "≤ 0.5 × podman"}}
	down := []series{{name: "podrun rm --force"}}
	ps := series{name: "podrun ps", goal: "≤ 30 ms"}
	f, err := newFloor(filepath.Join(run, "c"))
	if err != nil {
		return nil, err
	}
	all, up, down = append(all, f), append(up, series{name: "floor"}), append(down, series{name: "floor, removed"})
	if m, err := newPodman(ctx, filepath.Join(dir, "m"), filepath.Join(run, "m"), file, image); err == nil {
		all, up, down = append(all, m), append(up, series{name: "podman kube play"}), append(down, series{name: "podman pod rm --force"})
	} else if !errors.Is(err, errNoPodman) {
		return nil, err
	}
	for turn := range n + 1 {
		if turn == 1 {
			forget(up, down)
			ps.took = nil
		}
		for i, c := range all {
			if err := up[i].time(func() error { return c.up(ctx) }); err != nil {
				return nil, err
			}
			if i == 0 {
				if err := ps.time(func() error { return p.do(ctx, "ps") }); err != nil {
					return nil, err
				}
			}
			if err := down[i].time(func() error { return c.down(ctx) }); err != nil {
				return nil, err
			}
		}
	}
	return append(append(up, down...), ps), nil
}

func forget(all ...[]series) {
	for _, some := range all {
		for i := range some {
			some[i].took = nil
		}
	}
}

// series is one thing that was done several times.
type series struct {
	name, goal string
	took       []time.Duration
}

// time does the thing once more.
func (s *series) time(do func() error) error {
	begin := time.Now()
	if err := do(); err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	s.took = append(s.took, time.Since(begin))
	return nil
}
