package pod

import (
	"context"
	"fmt"
	"io"

	"podrun/container/tree"
	"podrun/pod/status"
)

// Copy is a copy between this machine and a container.
type Copy struct {
	Container string // empty: the first one
	Inside    string // the path in the container, from its root directory
	// Outside is the path on this machine, absolute; empty for a tar archive.
	Outside string
	// In is the archive that CopyIn reads, Out the one that CopyOut writes.
	In  io.Reader
	Out io.Writer
	// Passed is told what is passed over, being neither file nor directory nor
	// symbolic link.
	Passed func(path, what string)
}

// CopyOut copies from a running container; see tree.Copy and tree.Pack. What it
// makes belongs to root and never has a set-user-ID or set-group-ID bit.
func (e *Engine) CopyOut(ctx context.Context, ref Ref, c Copy) error {
	return e.copy(ctx, ref, c, func(inside, outside tree.Place) error {
		if c.Outside == "" {
			return tree.Pack(ctx, c.Out, inside, c.Passed)
		}
		return tree.Copy(ctx, inside, outside, tree.Rights{}, c.Passed)
	})
}

// CopyIn copies into a running container; see tree.Copy and tree.Unpack. What
// it makes belongs to the user 0 and the group 0.
func (e *Engine) CopyIn(ctx context.Context, ref Ref, c Copy) error {
	return e.copy(ctx, ref, c, func(inside, outside tree.Place) error {
		rights := tree.Rights{SetID: true}
		if c.Outside == "" {
			return tree.Unpack(ctx, c.In, inside, rights, c.Passed)
		}
		return tree.Copy(ctx, outside, inside, rights, c.Passed)
	})
}

func (e *Engine) copy(ctx context.Context, ref Ref, c Copy, do func(inside, outside tree.Place) error) error {
	v, err := e.find(ctx, ref)
	if err != nil {
		return err
	}
	name, err := containerName(v.pod, c.Container)
	if err != nil {
		return err
	}
	if err := e.ensureSupervised(v); err != nil {
		return err
	}
	container, err := e.rootOf(ctx, v, name)
	if err == nil {
		defer container.Close()
		var machine *tree.Root
		if machine, err = tree.Open("/"); err == nil {
			defer machine.Close()
			err = do(tree.Place{Root: container, Path: c.Inside}, tree.Place{Root: machine, Path: c.Outside})
		}
	}
	if err != nil {
		return fmt.Errorf("copy files of container %q of pod %q: %w", name, ref.Name, err)
	}
	return nil
}

// rootOf opens the root directory of a container that runs.
func (e *Engine) rootOf(ctx context.Context, v *view, name string) (*tree.Root, error) {
	before := v.observed.Newest(name)
	if before == nil || before.State != status.Running || before.PID == 0 {
		return nil, ErrNotRunning
	}
	root, err := tree.Open(fmt.Sprintf("/proc/%d/root", before.PID))
	if err != nil {
		return nil, err
	}
	// Its process may have ended before, and its number be another's by then.
	v, err = e.look(ctx, v.sandbox.UID())
	if err == nil {
		now := v.observed.Newest(name)
		if now != nil && now.ID == before.ID && now.State == status.Running && now.PID == before.PID {
			return root, nil
		}
		err = ErrNotRunning
	}
	root.Close()
	return nil, err
}
