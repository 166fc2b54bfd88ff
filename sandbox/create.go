package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/containerd/containerd/v2/core/mount"
	"golang.org/x/sync/errgroup"

	"podrun/container/image"
	"podrun/sandbox/files"
	"podrun/sandbox/network"
	"podrun/sandbox/volume"
)

const (
	// setUpTimeout bounds the making of a sandbox.
	setUpTimeout = time.Minute
	// takeDownTimeout bounds its removal.
	takeDownTimeout = 2 * time.Minute
	// giveUp is how long a step may go on after that.
	giveUp = 5 * time.Second
)

// step is a named part of making or removing a sandbox.
type step struct {
	name string
	run  func(context.Context, *Sandbox) error
}

// Create makes what the record says, from whatever is there already:
//
//	directories ─▶ volumes ─▶ files ─▶ cgroup parent ─▶ network namespace ─┬─▶ network ─▶ hosts file
//	                                                                       └─▶ pause container
//
// It returns when containers can be started, with the pod's addresses, which
// the caller writes into the memory. A dead sandbox is to be stopped before it
// is created again.
func (s *Store) Create(ctx context.Context, sb *Sandbox) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, setUpTimeout)
	defer cancel()
	if err := s.perform(ctx, sb, []step{
		{"make directories", s.makeDirs},
		{"make volumes", s.makeVolumes},
		{"write files", s.writeFiles},
		{"make cgroup", s.makeCgroup},
		{"make network namespace", s.makeNetNS},
	}); err != nil {
		return nil, err
	}
	var ips []string
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return s.perform(groupCtx, sb, []step{{"set up network", func(ctx context.Context, sb *Sandbox) (err error) {
			ips, err = s.connect(ctx, sb)
			return err
		}}})
	})
	group.Go(func() error {
		return s.startPause(groupCtx, sb)
	})
	return ips, group.Wait()
}

// perform runs steps one after the other, up to the first that fails.
func (s *Store) perform(ctx context.Context, sb *Sandbox, steps []step) error {
	for _, step := range steps {
		if err := s.take(ctx, sb, step); err != nil {
			return err
		}
	}
	return nil
}

// take takes one step. One that does not end soon after ctx is given up: a
// mount or a device that hangs costs its pod an error, and nobody a wait
// without an end.
func (s *Store) take(ctx context.Context, sb *Sandbox, step step) error {
	begin := time.Now()
	done := make(chan error, 1)
	go func() { done <- step.run(ctx, sb) }()
	var err error
	select {
	case err = <-done:
	case <-ctx.Done():
		select {
		case err = <-done:
		case <-time.After(giveUp):
			err = fmt.Errorf("it hangs: %w", context.Cause(ctx))
		}
	}
	s.config.Log.Debug(step.name, "pod", sb.Pod.Name, "took", time.Since(begin), "error", err)
	if err != nil {
		return fmt.Errorf("%s: %w", step.name, err)
	}
	return nil
}

func (s *Store) makeDirs(_ context.Context, sb *Sandbox) error {
	return errors.Join(
		os.MkdirAll(s.LogDir(sb.UID()), 0o700),
		os.MkdirAll(s.VolumeDir(sb.UID()), 0o700),
		os.MkdirAll(s.RunDir(sb.UID()), 0o700),
	)
}

func (s *Store) makeVolumes(ctx context.Context, sb *Sandbox) error {
	_, err := volume.Setup(ctx, s.VolumeDir(sb.UID()), sb.Pod)
	return err
}

func (s *Store) writeFiles(_ context.Context, sb *Sandbox) error {
	return files.Write(s.filesSpec(sb.Pod))
}

func (s *Store) makeCgroup(_ context.Context, sb *Sandbox) error {
	return s.cgroups.Create(sb.Pod)
}

func (s *Store) makeNetNS(_ context.Context, sb *Sandbox) error {
	if sb.Pod.Spec.HostNetwork {
		return nil
	}
	return network.CreateNetNS(network.NetNSPath(s.config.RunDir, sb.UID()))
}

// connect gives the pod its addresses and tells them to its hosts file.
func (s *Store) connect(ctx context.Context, sb *Sandbox) ([]string, error) {
	ips, err := s.addresses(ctx, sb)
	if err != nil {
		return nil, err
	}
	return ips, files.WriteHosts(s.filesSpec(sb.Pod), ips)
}

func (s *Store) addresses(ctx context.Context, sb *Sandbox) ([]string, error) {
	if sb.Pod.Spec.HostNetwork {
		return s.config.HostIPs, nil
	}
	result, err := s.network.Add(ctx, network.Pod{
		UID:       sb.UID(),
		Namespace: sb.Pod.Namespace,
		Name:      sb.Pod.Name,
		ID:        sb.ID,
		NetNS:     network.NetNSPath(s.config.RunDir, sb.UID()),
		Ports:     network.Ports(sb.Pod),
	})
	return slices.Clone(result.IPs), err
}

// startPause makes the pause container's process and starts it.
func (s *Store) startPause(ctx context.Context, sb *Sandbox) error {
	var pause *image.Image
	var rootfs []mount.Mount
	return s.perform(ctx, sb, []step{
		{"find pause image", func(ctx context.Context, sb *Sandbox) (err error) {
			pause, err = s.images.Get(ctx, sb.Image)
			return err
		}},
		{"make pause root filesystem", func(ctx context.Context, sb *Sandbox) (err error) {
			rootfs, err = s.containers.Snapshot(ctx, sb.ID, sb.UID(), pause)
			return err
		}},
		{"group containers", func(ctx context.Context, sb *Sandbox) error { return s.containers.Group(ctx, sb.ID) }},
		{"create pause container", func(ctx context.Context, sb *Sandbox) error {
			_, err := s.containers.CreateTask(ctx, sb.ID, rootfs, "", "")
			return err
		}},
		{"start pause container", func(ctx context.Context, sb *Sandbox) error { return s.containers.StartPause(ctx, sb.ID) }},
	})
}

// Volumes returns where each of the pod's volumes is on the host, by name.
func (s *Store) Volumes(ctx context.Context, sb *Sandbox) (map[string]string, error) {
	return volume.Setup(ctx, s.VolumeDir(sb.UID()), sb.Pod)
}
