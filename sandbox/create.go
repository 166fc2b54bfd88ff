package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/errdefs"
	"golang.org/x/sync/errgroup"

	"podrun/container"
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
//	                                    pause image ─▶ its root filesystem ─┼─▶ pause container
//	                                                                        └─▶ group of containers
//
// It returns when containers can be started, with the pod's addresses, which
// the caller writes into the memory. A dead sandbox is to be stopped before it
// is created again.
func (s *Store) Create(ctx context.Context, sb *Sandbox) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, setUpTimeout)
	defer cancel()
	var rootfs []mount.Mount
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return s.perform(groupCtx, sb, []step{
			{"make directories", s.makeDirs},
			{"make volumes", s.makeVolumes},
			{"write files", s.writeFiles},
			{"make cgroup", s.makeCgroup},
			{"make network namespace", s.makeNetNS},
		})
	})
	group.Go(func() (err error) {
		rootfs, err = s.preparePause(groupCtx, sb)
		return err
	})
	if err := group.Wait(); err != nil {
		return nil, err
	}
	defer s.cgroups.Hasten()()
	var ips []string
	group, groupCtx = errgroup.WithContext(ctx)
	group.Go(func() error {
		return s.perform(groupCtx, sb, []step{{"set up network", func(ctx context.Context, sb *Sandbox) (err error) {
			ips, err = s.connect(ctx, sb)
			return err
		}}})
	})
	group.Go(func() error {
		return s.perform(groupCtx, sb, []step{{"group containers", s.groupContainers}})
	})
	group.Go(func() error {
		return s.startPause(groupCtx, sb, rootfs)
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
	_, err := s.Volumes(ctx, sb)
	return err
}

func (s *Store) writeFiles(_ context.Context, sb *Sandbox) error {
	omitted, err := files.Write(s.filesSpec(sb.Pod))
	if len(omitted) > 0 {
		s.config.Log.Warn("resolv.conf has no place for all name servers and search paths", "pod", sb.Pod.Name, "omitted", omitted)
	}
	return err
}

func (s *Store) makeCgroup(_ context.Context, sb *Sandbox) error {
	cgroups, err := s.cgroupsOf(sb)
	if err != nil {
		return err
	}
	return cgroups.Create(sb.Pod)
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

// preparePause makes what the pause container's process is made from, and returns
// how its root filesystem is mounted.
func (s *Store) preparePause(ctx context.Context, sb *Sandbox) (rootfs []mount.Mount, err error) {
	var pause *image.Image
	err = s.perform(ctx, sb, []step{
		{"find pause image", func(ctx context.Context, sb *Sandbox) (err error) {
			pause, err = s.pauseImage(ctx, sb)
			return err
		}},
		{"make pause root filesystem", func(ctx context.Context, sb *Sandbox) (err error) {
			rootfs, err = s.pauseRoot(ctx, sb, pause)
			return err
		}},
	})
	return rootfs, err
}

// pauseRoot is the one that all pause containers share, or one of the pod's own when
// there is none or its files have to have the pod's label.
func (s *Store) pauseRoot(ctx context.Context, sb *Sandbox, pause *image.Image) ([]mount.Mount, error) {
	labels, err := container.Labels(sb.Pod, nil)
	if err != nil {
		return nil, err
	}
	if labels.Files == "" {
		rootfs, err := s.containers.Root(ctx, pause, container.ClassOf(sb.Pod))
		if !errdefs.IsNotFound(err) {
			return rootfs, err
		}
	}
	rootfs, err := s.containers.Snapshot(ctx, sb.ID, sb.UID(), pause)
	return container.Labelled(rootfs, labels.Files), err
}

// pauseImage is the image of the pause container. The first time, whoever has
// registered the pod need not ask for it again.
func (s *Store) pauseImage(ctx context.Context, sb *Sandbox) (*image.Image, error) {
	if pause, ok := s.pauses.LoadAndDelete(sb.UID()); ok {
		return pause.(*image.Image), nil
	}
	return s.images.Get(ctx, sb.Image)
}

func (s *Store) groupContainers(ctx context.Context, sb *Sandbox) error {
	return s.containers.Group(ctx, sb.ID, container.ClassOf(sb.Pod))
}

// startPause makes the pause container's process and starts it.
func (s *Store) startPause(ctx context.Context, sb *Sandbox, rootfs []mount.Mount) error {
	var pid int
	return s.perform(ctx, sb, []step{
		{"create pause container", func(ctx context.Context, sb *Sandbox) (err error) {
			pid, err = s.containers.CreateTask(ctx, sb.ID, rootfs, container.IO{})
			return err
		}},
		{"start pause container", func(ctx context.Context, sb *Sandbox) error { return s.containers.StartPause(ctx, sb.ID, pid) }},
	})
}

// Volumes makes the pod's volumes, those that are there already excepted, and
// returns them by name.
func (s *Store) Volumes(ctx context.Context, sb *Sandbox) (map[string]volume.Volume, error) {
	defer s.lockVolumes(sb)()
	return volume.Setup(ctx, s.volumeInput(sb))
}

// UpdateVolumes brings the contents of volumes up to what objects, labels and
// annotations are now.
func (s *Store) UpdateVolumes(ctx context.Context, sb *Sandbox) error {
	defer s.lockVolumes(sb)()
	return volume.Update(ctx, s.volumeInput(sb))
}

// MountImage mounts an image as one of the pod's volumes, unless one is mounted
// there already.
func (s *Store) MountImage(ctx context.Context, sb *Sandbox, name string, img *image.Image) error {
	defer s.lockVolumes(sb)()
	// No container has such a name.
	view, err := s.containers.View(ctx, container.ID(sb.UID(), "volume/"+name, 0), sb.UID(), img)
	if err != nil {
		return err
	}
	return volume.MountImage(s.VolumeDir(sb.UID()), name, view)
}

// lockVolumes lets one at a time write a pod's volumes. Other processes leave
// them to the pod's owner.
func (s *Store) lockVolumes(sb *Sandbox) (unlock func()) {
	lock, _ := s.volumes.LoadOrStore(sb.UID(), &sync.Mutex{})
	lock.(*sync.Mutex).Lock()
	return lock.(*sync.Mutex).Unlock
}

func (s *Store) volumeInput(sb *Sandbox) volume.Input {
	return volume.Input{
		Dir:     s.VolumeDir(sb.UID()),
		Claims:  s.claimDir(),
		Pod:     sb.Pod,
		Objects: sb.Objects,
		Facts:   s.Facts(sb),
	}
}
