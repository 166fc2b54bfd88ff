package stack

import (
	"context"
	"errors"

	"podrun/bundle"
)

// Status tells about the containerd in use.
type Status struct {
	Bundled bool   `json:"bundled"`           // it is podrun's own
	Running bool   `json:"running"`           // something accepts connections at Address
	Address string `json:"address"`           // path of its unix socket
	PID     int    `json:"pid,omitempty"`     // 0 when it does not run
	Version string `json:"version,omitempty"` // as it says itself; "" when it does not run
	Root    string `json:"root,omitempty"`    // its data; this and what follows: only when bundled
	State   string `json:"state,omitempty"`   // its state
	Log     string `json:"log,omitempty"`     // its log
	Staged  string `json:"staged,omitempty"`  // where this podrun's bundle is, or will be, staged
	Digest  string `json:"digest,omitempty"`  // SHA-256 digest of that bundle

	CNIBinDirs []string `json:"cniBinDirs"` // where the CNI plugins are
}

// Inspect tells about the containerd in use. It starts nothing; a containerd that does not run is no
// error, one that accepts a connection but does not tell its version in time is.
func Inspect(ctx context.Context, cfg Config) (Status, error) {
	if err := cfg.check(); err != nil {
		return Status{}, err
	}
	s := Status{Bundled: cfg.bundled(), Address: cfg.address(), CNIBinDirs: cfg.stack().CNIBinDirs}
	if s.Bundled {
		s.Root, s.State, s.Log = cfg.data(), cfg.state(), cfg.logFile()
		s.Staged, s.Digest = stagedDir(cfg.Root, bundle.Digest), bundle.Digest
	}
	pid, err := peer(s.Address)
	if errors.Is(err, ErrNotRunning) {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	s.Running, s.PID = true, pid
	s.Version, err = version(ctx, s.Address)
	return s, err
}
