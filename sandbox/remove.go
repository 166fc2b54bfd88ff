package sandbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"podrun/container"
	"podrun/sandbox/files"
	"podrun/sandbox/network"
	"podrun/sandbox/volume"
)

// Stop takes down what runs: the pause container, the network and the network
// namespace. The containers in it have ended. Record, volumes and logs stay.
func (s *Store) Stop(ctx context.Context, sb *Sandbox) error {
	return s.each(ctx, sb, s.stopSteps())
}

// stopSteps are the steps of Create that concern what runs, reversed.
func (s *Store) stopSteps() []step {
	return []step{
		{"stop pause container", s.stopPause},
		{"remove network", s.disconnect},
		{"remove network namespace", s.removeNetNS},
		{"clean up after the network", func(ctx context.Context, _ *Sandbox) error { return s.network.Clean(ctx) }},
	}
}

// Remove takes away everything of the pod: its containers if there are any
// left, all that Stop does, files, volumes, cgroup and snapshots, and the
// record when nothing else is left. All steps are tried; one that fails keeps
// the record, so that it can be tried again.
func (s *Store) Remove(ctx context.Context, sb *Sandbox) error {
	steps := []step{{"remove containers", s.removeContainers}}
	steps = append(steps, s.stopSteps()...)
	steps = append(steps,
		step{"remove files", s.removeFiles},
		step{"remove volumes", func(ctx context.Context, sb *Sandbox) error { return volume.Remove(ctx, s.VolumeDir(sb.UID())) }},
		step{"remove run directory", func(ctx context.Context, sb *Sandbox) error { return volume.Remove(ctx, s.RunDir(sb.UID())) }},
		step{"remove cgroup", func(_ context.Context, sb *Sandbox) error { return s.cgroups.Remove(sb.UID()) }},
		step{"remove directory", s.removeRootDir},
	)
	if err := s.each(ctx, sb, steps); err != nil {
		return err
	}
	return s.each(ctx, sb, []step{{"remove record", s.removeRecord}})
}

// each runs all steps and joins what fails.
func (s *Store) each(ctx context.Context, sb *Sandbox, steps []step) error {
	var errs []error
	for _, step := range steps {
		begin := time.Now()
		err := step.run(ctx, sb)
		s.config.Log.Debug(step.name, "pod", sb.Pod.Name, "took", time.Since(begin), "error", err)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", step.name, err))
		}
	}
	return errors.Join(errs...)
}

func (s *Store) removeContainers(ctx context.Context, sb *Sandbox) error {
	all, err := s.containers.ListPod(ctx, sb.UID())
	if err != nil {
		return err
	}
	var errs []error
	for _, c := range all {
		if c.Kind != container.KindPause {
			errs = append(errs, s.containers.Remove(ctx, c.ID))
		}
	}
	return errors.Join(errs...)
}

func (s *Store) stopPause(ctx context.Context, sb *Sandbox) error {
	return errors.Join(s.containers.Kill(ctx, sb.ID), s.containers.DeleteTask(ctx, sb.ID))
}

func (s *Store) disconnect(ctx context.Context, sb *Sandbox) error {
	return s.network.Del(ctx, sb.UID())
}

func (s *Store) removeNetNS(_ context.Context, sb *Sandbox) error {
	return network.RemoveNetNS(network.NetNSPath(s.config.RunDir, sb.UID()))
}

func (s *Store) removeFiles(_ context.Context, sb *Sandbox) error {
	return files.Remove(s.filesSpec(sb.Pod))
}

// removeRootDir leaves the directory's own lock to the last moment: whoever
// holds it owns the pod until nothing is left.
func (s *Store) removeRootDir(ctx context.Context, sb *Sandbox) error {
	return volume.Remove(ctx, s.RootDir(sb.UID()))
}

func (s *Store) removeRecord(ctx context.Context, sb *Sandbox) error {
	if err := s.containers.RemoveSnapshots(ctx, sb.UID()); err != nil {
		return err
	}
	if err := s.containers.Ungroup(ctx, sb.ID); err != nil {
		return err
	}
	return s.containers.Remove(ctx, sb.ID)
}

// Forget removes the directories of a pod of which there is no record.
func (s *Store) Forget(ctx context.Context, uid string) error {
	return errors.Join(volume.Remove(ctx, s.RunDir(uid)), volume.Remove(ctx, s.RootDir(uid)))
}
