package container

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	tasktypes "github.com/containerd/containerd/api/types/task"
	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"
	v1 "k8s.io/api/core/v1"

	"podrun/container/image"
	"podrun/container/oci"
)

// CreateOptions say what container to create and what it is given.
type CreateOptions struct {
	Pod       *v1.Pod
	Container *v1.Container // one of the pod's
	Attempt   int
	Backoff   time.Duration // see Record
	Image     *image.Image
	SandboxID string // of the pod's pause container
	Shared    Shared
	Target    int         // see oci.Input
	Mounts    []oci.Mount // its volumes, in the order of volumeMounts
	Dir       string      // the pod's run directory
	// Stdout and Stderr name the files that the process writes to; they
	// exist, and are not read by this package.
	Stdout, Stderr string
}

func (o CreateOptions) id() string { return ID(string(o.Pod.UID), o.Container.Name, o.Attempt) }

// Create makes a container whose process waits for Start:
//
//  1. its root filesystem, a snapshot of the image,
//  2. its user, as the image's own files say,
//  3. its runtime spec,
//  4. its record,
//  5. its task.
//
// What an interrupted Create of the same instance left is removed first. That
// the runtime cannot make the process (there is no such command, its directory
// cannot be entered …) is no error of Create, but the container's end: it has
// Exited with code 128 and the reason StartError, as with containerd's CRI.
func (s *Store) Create(ctx context.Context, options CreateOptions) error {
	err := s.create(ctx, options)
	if !errdefs.IsAlreadyExists(err) {
		return err
	}
	if err := s.Remove(ctx, options.id()); err != nil {
		return err
	}
	return s.create(ctx, options)
}

func (s *Store) create(ctx context.Context, options CreateOptions) error {
	id := options.id()
	step := stopwatch(s.config.Log, options.Container.Name)
	rootfs, err := s.takeSnapshot(ctx, id, string(options.Pod.UID), options.Image)
	if err != nil {
		return err
	}
	step("make root filesystem")
	spec, err := s.spec(options, rootfs)
	step("write spec")
	if err == nil {
		err = s.Register(ctx, spec)
	}
	if err != nil {
		if !errdefs.IsAlreadyExists(err) {
			err = errors.Join(err, ignoreNotFound(s.removeSnapshot(context.WithoutCancel(ctx), id)))
		}
		return err
	}
	step("register")
	err = s.createTask(ctx, options, Labelled(rootfs, spec.Runtime.Linux.MountLabel), spec.Runtime.Linux.MountLabel)
	step("create task")
	return s.recordStartError(ctx, id, err)
}

func (s *Store) createTask(ctx context.Context, options CreateOptions, rootfs []mount.Mount, fileLabel string) (err error) {
	streams := IO{Stdout: options.Stdout, Stderr: options.Stderr, Terminal: options.Container.TTY}
	if options.Container.Stdin {
		if streams.Stdin, err = makeInput(options.Dir, options.Container.Name); err != nil {
			return err
		}
		if err = relabel(fileLabel, streams.Stdin); err != nil {
			return err
		}
	}
	s.making.Store(options.id(), (*tasktypes.Process)(nil))
	defer s.making.Delete(options.id())
	_, err = s.CreateTask(ctx, options.id(), fleeting(rootfs), streams)
	return err
}

// stopwatch returns a function that logs how long the step took that has just
// been done.
func stopwatch(log *slog.Logger, container string) func(step string) {
	begin := time.Now()
	return func(step string) {
		log.Debug(step, "container", container, "took", time.Since(begin))
		begin = time.Now()
	}
}

// recordStartError makes an error of the runtime the container's exit.
func (s *Store) recordStartError(ctx context.Context, id string, err error) error {
	var failed *startError
	if !errors.As(err, &failed) {
		return err
	}
	return s.RecordExit(ctx, id, Exit{
		Code:       128,
		Reason:     "StartError",
		Message:    failed.Error(),
		FinishedAt: time.Now(),
	}, "")
}

// userOf is who a process runs as, as a status tells it.
func userOf(u specs.User) *v1.LinuxContainerUser {
	user := &v1.LinuxContainerUser{UID: int64(u.UID), GID: int64(u.GID)}
	for _, gid := range u.AdditionalGids {
		user.SupplementalGroups = append(user.SupplementalGroups, int64(gid))
	}
	return user
}

// stopSignal is the container's own, else its image's.
func stopSignal(options CreateOptions) string {
	if l := options.Container.Lifecycle; l != nil && l.StopSignal != nil {
		return string(*l.StopSignal)
	}
	return options.Image.Config.StopSignal
}

func (s *Store) spec(options CreateOptions, rootfs []mount.Mount) (Spec, error) {
	id := options.id()
	identity, err := oci.IdentityOf(options.Pod, options.Container, options.Image.Config.User)
	if err != nil {
		return Spec{}, err
	}
	user, err := ResolveUser(identity, rootfs, filepath.Join(options.Dir, "rootfs", id))
	if err != nil {
		return Spec{}, err
	}
	input := oci.Input{
		ID:        id,
		Pod:       options.Pod,
		Container: options.Container,
		Image:     options.Image.Config,
		User:      user,
		Shared:    options.Shared,
		Target:    options.Target,
		Mounts:    options.Mounts,
		Machine:   s.config.Machine,
	}
	if err := s.confine(&input); err != nil {
		return Spec{}, err
	}
	if err := options.relabel(input.SELinux.Files); err != nil {
		return Spec{}, err
	}
	runtimeSpec, err := oci.Spec(input)
	if err != nil {
		return Spec{}, fmt.Errorf("build runtime spec: %w", err)
	}
	return Spec{
		Record: Record{
			Kind:       KindApp,
			Pod:        RefOf(options.Pod),
			Name:       options.Container.Name,
			Attempt:    options.Attempt,
			Backoff:    options.Backoff,
			ImageRef:   options.Container.Image,
			ImageID:    options.Image.ID,
			StopSignal: stopSignal(options),
			User:       userOf(runtimeSpec.Process.User),
		},
		Image:     options.Image,
		Runtime:   runtimeSpec,
		Class:     ClassOf(options.Pod),
		Systemd:   options.Shared.Systemd,
		SandboxID: options.SandboxID,
	}, nil
}
