package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// config is understood by containerd 1.6 to 2.x. The CRI plugin would open
// directories outside of dir; it is not part of every build.
const config = `version = 2
root = %q
state = %q
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt",
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]
[grpc]
  address = %q
[ttrpc]
  address = %q
`

// Daemon is a running containerd.
type Daemon struct {
	Socket string
	cmd    *exec.Cmd
	exited chan error
	log    string
}

// Start runs the containerd bin below dir, which should be short (a socket's
// path has at most 107 bytes), and returns when it accepts connections. Shims
// are looked up beside bin first.
func Start(ctx context.Context, bin, dir string) (*Daemon, error) {
	d := &Daemon{
		Socket: filepath.Join(dir, "c.sock"),
		exited: make(chan error, 1),
		log:    filepath.Join(dir, "log"),
	}
	text := fmt.Sprintf(config, filepath.Join(dir, "root"), filepath.Join(dir, "state"), d.Socket, d.Socket+".ttrpc")
	file := filepath.Join(dir, "config.toml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, fmt.Errorf("start %s: %w", bin, err)
	}
	log, err := os.OpenFile(d.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", bin, err)
	}
	defer log.Close()
	d.cmd = exec.Command(bin, "--config", file)
	d.cmd.Env = []string{"PATH=" + filepath.Dir(bin) + ":" + os.Getenv("PATH")}
	d.cmd.Stdout, d.cmd.Stderr = log, log
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := d.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", bin, err)
	}
	go func() { d.exited <- d.cmd.Wait() }()
	if err := d.answer(ctx); err != nil {
		return nil, errors.Join(err, d.Stop())
	}
	return d, nil
}

// answer waits until the socket accepts a connection.
func (d *Daemon) answer(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if conn, err := net.Dial("unix", d.Socket); err == nil {
			return conn.Close()
		}
		select {
		case err := <-d.exited:
			d.exited <- err
			log, _ := os.ReadFile(d.log)
			return fmt.Errorf("start %s: %v: %s", d.cmd.Path, err, log)
		case <-ctx.Done():
			return fmt.Errorf("start %s: %w", d.cmd.Path, ctx.Err())
		case <-tick.C:
		}
	}
}

// Stop ends the daemon, by force when it does not follow in ten seconds. Shims
// that it started live on.
func (d *Daemon) Stop() error {
	_ = d.cmd.Process.Signal(unix.SIGTERM)
	select {
	case <-d.exited:
	case <-time.After(10 * time.Second):
		_ = d.cmd.Process.Kill()
		<-d.exited
	}
	return nil
}
