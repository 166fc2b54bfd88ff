package stack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"podrun/bundle"
)

// DefaultAddress is where a containerd that came with the system listens.
const DefaultAddress = "/run/containerd/containerd.sock"

// systemShims is where shims have their sockets unless containerd is told otherwise.
const systemShims = "/run/containerd/s"

// ErrNotRunning says that nothing answers at the address of the containerd in use.
var ErrNotRunning = errors.New("containerd is not running")

// Config says which containerd is meant. Root and RunDir are absolute paths.
type Config struct {
	Root    string // what survives a reboot: podrun's --root
	RunDir  string // what does not: podrun's --run-dir
	Address string // a containerd to use as it is; empty: the bundled one or, in a build without one, DefaultAddress
}

// Stack is the containerd in use and what goes with it.
type Stack struct {
	Address    string   // path of its unix socket
	Bundled    bool     // it is podrun's own, started and stopped by this package
	Runc       string   // path of the bundled runc; "": containerd's shim finds one in its PATH
	CNIBinDirs []string // where the CNI plugins are
	ShimDir    string   // directory of the shims' sockets
	Pause      string   // path of the bundled pause program; "" in a build without a bundle
	Version    string   // stands for the content of the bundle; "" in a build without one
}

// Open returns a stack that is ready to be used. In a build with a bundle it first stages what is
// not staged yet and, where the bundled containerd is the one in use, starts that when it does not
// answer. Blocks until containerd answers; a context that ends stops the attempt.
//
// Idempotent, and safe to call from any number of processes at once. When everything is there it
// costs a few system calls. Fails with ErrNotRunning when a containerd that is not podrun's own
// does not answer.
func Open(ctx context.Context, cfg Config) (*Stack, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if err := stage(ctx, cfg.Root, bundle.Archive, bundle.Digest); err != nil {
		return nil, err
	}
	s := cfg.stack()
	err := answers(s.Address)
	if s.Bundled && errors.Is(err, ErrNotRunning) {
		err = start(ctx, cfg)
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Find is Open for those who only want to look: it neither stages nor starts anything, and fails
// with ErrNotRunning when there is no containerd to talk to. The files that it names may be missing.
func Find(_ context.Context, cfg Config) (*Stack, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	s := cfg.stack()
	if err := answers(s.Address); err != nil {
		return nil, err
	}
	return s, nil
}

// check refuses what could only fail later and less clearly.
func (c Config) check() error {
	for _, dir := range []string{c.Root, c.RunDir} {
		if !filepath.IsAbs(dir) {
			return fmt.Errorf("use directory %q: not an absolute path", dir)
		}
	}
	if c.bundled() {
		if err := trust(c.RunDir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if !filepath.IsAbs(c.address()) {
		return fmt.Errorf("use containerd %q: not the path of a unix socket", c.Address)
	}
	if longest := c.address() + ttrpcSuffix; c.bundled() && len(longest) > maxSocketPath {
		return fmt.Errorf("use run directory %q: a unix socket in it could not be reached: its path has %d characters, at most %d are possible",
			c.RunDir, len(longest), maxSocketPath)
	}
	return nil
}

// stack returns what follows from the configuration. It touches nothing but looks for directories of CNI plugins.
func (c Config) stack() *Stack {
	s := &Stack{Address: c.address(), Bundled: c.bundled(), ShimDir: systemShims}
	if bundle.Digest == "" {
		s.CNIBinDirs = PluginDirs()
		return s
	}
	dir := stagedDir(c.Root, bundle.Digest)
	s.CNIBinDirs = append([]string{dir}, PluginDirs()...)
	s.Pause, s.Version = filepath.Join(dir, "pause"), filepath.Base(dir)
	if s.Bundled {
		s.Runc, s.ShimDir = filepath.Join(dir, "runc"), c.shimSockets()
	}
	return s
}

// bundled reports whether the bundled containerd is the one in use.
func (c Config) bundled() bool { return c.Address == "" && bundle.Digest != "" }

// address returns the path of the socket of the containerd in use.
func (c Config) address() string {
	switch {
	case c.Address != "":
		return strings.TrimPrefix(c.Address, "unix://")
	case c.bundled():
		return filepath.Join(c.state(), "containerd.sock")
	}
	return DefaultAddress
}

// data, state and the rest are the bundled containerd's places; see the package's comment.
func (c Config) data() string       { return filepath.Join(c.Root, "containerd") }
func (c Config) state() string      { return filepath.Join(c.RunDir, "containerd") }
func (c Config) configFile() string { return filepath.Join(c.state(), "config.toml") }
func (c Config) logFile() string    { return filepath.Join(c.state(), "containerd.log") }
func (c Config) lockFile() string   { return filepath.Join(c.RunDir, "containerd.lock") }

// PluginDirs returns those of the directories that distributions install CNI plugins into that exist.
func PluginDirs() []string {
	var dirs []string
	for _, dir := range []string{"/opt/cni/bin", "/usr/lib/cni", "/usr/libexec/cni"} {
		if info, err := os.Stat(dir); err == nil && info.IsDir() {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}
