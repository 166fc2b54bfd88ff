package sandbox

import (
	"context"
	"errors"
	"sync"

	"podrun/container"
	"podrun/sandbox/files"
	"podrun/sandbox/network"
	"podrun/sandbox/volume"
)

// Stop takes down what runs: the processes of its containers if there are any
// left, the pause container, the network and the network namespace. Records,
// volumes and logs stay.
func (s *Store) Stop(ctx context.Context, sb *Sandbox) error {
	ctx, cancel := context.WithTimeout(ctx, takeDownTimeout)
	defer cancel()
	return s.together(ctx, sb, s.disconnect, func(ctx context.Context, sb *Sandbox) error {
		// The pause container's shim is that of all, and ends with it only
		// when it has no other task.
		return s.each(ctx, sb, []step{
			{"stop containers", s.stopContainers},
			{"stop pause container", s.stopPause},
		})
	})
}

// Remove takes away everything of the pod:
//
//  1. what runs, if there is anything left, as Stop does,
//  2. what it had: containers, files, volumes, directories, cgroup,
//  3. the record,
//  4. the directory with the lock, so that the pod has one owner to the end.
//
// All steps are tried; one that fails keeps the record, so that it can be tried
// again.
func (s *Store) Remove(ctx context.Context, sb *Sandbox) error {
	ctx, cancel := context.WithTimeout(ctx, takeDownTimeout)
	defer cancel()
	err := errors.Join(s.Stop(ctx, sb), s.each(ctx, sb, []step{
		{"remove containers", s.removeContainers},
		{"remove files", s.removeFiles},
		{"remove volumes", func(ctx context.Context, sb *Sandbox) error { return volume.Remove(ctx, s.VolumeDir(sb.UID())) }},
		{"remove run directory", func(ctx context.Context, sb *Sandbox) error { return volume.Remove(ctx, s.RunDir(sb.UID())) }},
		{"remove cgroup", func(_ context.Context, sb *Sandbox) error { return s.cgroups.Remove(sb.UID()) }},
		{"remove logs", func(ctx context.Context, sb *Sandbox) error { return volume.Remove(ctx, s.LogDir(sb.UID())) }},
	}))
	if err != nil {
		return err
	}
	if err := s.each(ctx, sb, []step{{"remove record", s.removeRecord}}); err != nil {
		return err
	}
	return s.Forget(ctx, sb.UID())
}

// together runs parts side by side and joins what fails.
func (s *Store) together(ctx context.Context, sb *Sandbox, parts ...func(context.Context, *Sandbox) error) error {
	errs := make([]error, len(parts))
	var group sync.WaitGroup
	for i, part := range parts {
		group.Go(func() { errs[i] = part(ctx, sb) })
	}
	group.Wait()
	return errors.Join(errs...)
}

// each runs all steps, one after the other, and joins what fails.
func (s *Store) each(ctx context.Context, sb *Sandbox, steps []step) error {
	var errs []error
	for _, step := range steps {
		errs = append(errs, s.take(ctx, sb, step))
	}
	return errors.Join(errs...)
}

func (s *Store) stopContainers(ctx context.Context, sb *Sandbox) error {
	return s.eachContainer(ctx, sb, s.stopTask)
}

func (s *Store) removeContainers(ctx context.Context, sb *Sandbox) error {
	return s.eachContainer(ctx, sb, func(ctx context.Context, _ *Sandbox, id string) error {
		return s.containers.Remove(ctx, id)
	})
}

// eachContainer does something with every container but pause, side by side.
func (s *Store) eachContainer(ctx context.Context, sb *Sandbox, do func(ctx context.Context, sb *Sandbox, id string) error) error {
	all, err := s.containers.ListPod(ctx, sb.UID())
	if err != nil {
		return err
	}
	var parts []func(context.Context, *Sandbox) error
	for _, c := range all {
		if c.Kind != container.KindPause {
			parts = append(parts, func(ctx context.Context, sb *Sandbox) error { return do(ctx, sb, c.ID) })
		}
	}
	return s.together(ctx, sb, parts...)
}

func (s *Store) stopPause(ctx context.Context, sb *Sandbox) error {
	return s.stopTask(ctx, sb, sb.ID)
}

// stopTask kills a container at once and drops its task, and what is left of it
// if containerd has lost track of it.
func (s *Store) stopTask(ctx context.Context, sb *Sandbox, id string) error {
	err := s.containers.Kill(ctx, id)
	if container.Hung(ctx, err) {
		err = s.KillHung(sb)
	}
	if err != nil {
		return err
	}
	err = s.containers.DeleteTask(ctx, id)
	if container.Hung(ctx, err) {
		err = errors.Join(s.KillHung(sb), s.containers.DeleteTask(ctx, id))
	}
	if err != nil {
		return err
	}
	return s.Discard(ctx, sb, id)
}

// Discard ends and takes away what is left of a container that has no task:
// whoever kills a shim, or containerd, may leave processes that neither knows of.
func (s *Store) Discard(ctx context.Context, sb *Sandbox, id string) error {
	return errors.Join(s.cgroups.KillContainer(sb.UID(), id), s.containers.Discard(ctx, id))
}

// KillHung ends all processes of a pod, and its shim, which does not answer.
func (s *Store) KillHung(sb *Sandbox) error {
	return errors.Join(s.cgroups.Kill(sb.UID()), s.containers.KillShim(sb.ID))
}

// disconnect takes the network down, the reverse of making it.
func (s *Store) disconnect(ctx context.Context, sb *Sandbox) error {
	return s.each(ctx, sb, []step{
		{"remove network", func(ctx context.Context, sb *Sandbox) error { return s.network.Del(ctx, sb.UID()) }},
		{"remove network namespace", func(_ context.Context, sb *Sandbox) error {
			return network.RemoveNetNS(network.NetNSPath(s.config.RunDir, sb.UID()))
		}},
		{"clean up after the network", func(ctx context.Context, _ *Sandbox) error { return s.network.Clean(ctx) }},
	})
}

func (s *Store) removeFiles(_ context.Context, sb *Sandbox) error {
	return files.Remove(s.filesSpec(sb.Pod))
}

func (s *Store) removeRecord(ctx context.Context, sb *Sandbox) error {
	if err := s.containers.RemoveSnapshots(ctx, sb.UID()); err != nil {
		return err
	}
	if err := s.containers.Collect(ctx); err != nil {
		return err
	}
	if err := s.containers.RemoveShim(ctx, sb.ID); err != nil {
		return err
	}
	if err := s.containers.Ungroup(ctx, sb.ID); err != nil {
		return err
	}
	return s.containers.Remove(ctx, sb.ID)
}

// RemoveClaim removes the data of a claim that no pod uses.
func (s *Store) RemoveClaim(ctx context.Context, namespace, name string) error {
	return volume.RemoveClaim(ctx, s.claimDir(), namespace, name)
}

// Forget removes the directories of a pod of which there is no record.
func (s *Store) Forget(ctx context.Context, uid string) error {
	return errors.Join(volume.Remove(ctx, s.RunDir(uid)), volume.Remove(ctx, s.RootDir(uid)))
}
