package stack

import (
	"context"
	"errors"
	"io/fs"
	"os"
)

// Revive starts the bundled containerd again when it has died. One that was
// stopped is left alone, with ErrNotRunning: a containerd that ends as it
// should takes its socket along, one that dies leaves it. Where containerd is
// not podrun's own, that is all that can be said, too.
func Revive(ctx context.Context, cfg Config) error {
	if err := answers(cfg.address()); !errors.Is(err, ErrNotRunning) || !cfg.bundled() {
		return err
	}
	if _, err := os.Lstat(cfg.address()); errors.Is(err, fs.ErrNotExist) {
		return ErrNotRunning
	}
	_, err := Open(ctx, cfg)
	return err
}
