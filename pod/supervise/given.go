package supervise

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/containerd/errdefs"
	v1 "k8s.io/api/core/v1"

	"podrun/container"
	"podrun/container/env"
	"podrun/container/image"
	"podrun/container/oci"
	"podrun/pod/manifest"
	"podrun/pod/objects"
	"podrun/sandbox"
	"podrun/sandbox/volume"
)

// given returns the sandbox with the objects that its pod refers to. Those that
// are missing are left out: whether they are needed is seen where they are used.
func (s *Supervisor) given(sb *sandbox.Sandbox) (*sandbox.Sandbox, error) {
	found := env.Objects{
		ConfigMaps: map[string]*v1.ConfigMap{},
		Secrets:    map[string]*v1.Secret{},
		Claims:     map[string]*v1.PersistentVolumeClaim{},
	}
	for _, ref := range manifest.References(sb.Pod) {
		object, err := s.Objects.Get(objects.Ref{Kind: objects.Kind(ref.Kind), Namespace: ref.Namespace, Name: ref.Name})
		if errdefs.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read what the pod is given: %w", err)
		}
		switch object := object.(type) {
		case *v1.ConfigMap:
			found.ConfigMaps[ref.Name] = object
		case *v1.Secret:
			found.Secrets[ref.Name] = object
		case *v1.PersistentVolumeClaim:
			found.Claims[ref.Name] = object
		}
	}
	// The supervisor's own must not change while actions read it.
	with := *sb
	with.Objects = found
	return &with, nil
}

// furnished is what a container of the pod finds when it begins.
type furnished struct {
	container *v1.Container // with all of its variables literal
	volumes   map[string]volume.Volume
	mounts    []oci.Mount
}

// furnish makes what a container of the pod finds when it begins:
//
//  1. its volumes, brought up to date
//  2. its variables, which may stand in files of volumes
//  3. what it mounts of the volumes, which may depend on variables
func (s *Supervisor) furnish(ctx context.Context, sb *sandbox.Sandbox, spec *v1.Container) (made furnished, err error) {
	if sb, err = s.given(sb); err == nil {
		err = s.mountImages(ctx, sb, spec)
	}
	if err != nil {
		return made, err
	}
	if made.volumes, err = s.Sandboxes.Volumes(ctx, sb); err != nil {
		return made, err
	}
	vars, err := env.Resolve(env.Input{
		Pod:       sb.Pod,
		Container: spec,
		Objects:   sb.Objects,
		Facts:     s.Sandboxes.Facts(sb),
		File: func(ref *v1.FileKeySelector) (string, error) {
			return volume.Variable(made.volumes[ref.VolumeName], ref.Path, ref.Key)
		},
	})
	if err != nil {
		return made, &container.ConfigError{Message: err.Error()}
	}
	made.container = spec.DeepCopy()
	made.container.EnvFrom, made.container.Env = nil, vars
	if made.mounts, err = volume.Mounts(made.container, s.Sandboxes.VolumeDir(s.uid), made.volumes); err != nil {
		return made, &container.ConfigError{Message: err.Error()}
	}
	return made, nil
}

// checkMounted sees to it that a container which is to be started has mounted what
// its hostPaths demand; one that has not is taken away again.
func (s *Supervisor) checkMounted(ctx context.Context, id string, pod *v1.Pod, spec *v1.Container) error {
	demands := volume.Demands(pod, spec)
	if len(demands) == 0 {
		return nil
	}
	c, err := s.Containers.Load(ctx, id)
	if err == nil && c.PID > 0 {
		err = volume.CheckMounted(fmt.Sprintf("/proc/%d/root", c.PID), demands)
	}
	if err != nil {
		return &notMade{errors.Join(err, s.Containers.Remove(context.WithoutCancel(ctx), id))}
	}
	return nil
}

// notMade says that a container was not made as it is to be.
type notMade struct{ error }

// mountImages makes the volumes that are images and that a container mounts.
func (s *Supervisor) mountImages(ctx context.Context, sb *sandbox.Sandbox, spec *v1.Container) error {
	for _, vol := range sb.Pod.Spec.Volumes {
		used := slices.ContainsFunc(spec.VolumeMounts, func(m v1.VolumeMount) bool { return m.Name == vol.Name })
		if vol.Image == nil || !used {
			continue
		}
		img, err := s.Images.Ensure(ctx, image.Want{
			Ref:     vol.Image.Reference,
			Policy:  vol.Image.PullPolicy,
			Secrets: pullSecrets(sb),
		}, nil)
		if err != nil {
			return err
		}
		if err := s.Sandboxes.MountImage(ctx, sb, vol.Name, img); err != nil {
			return err
		}
	}
	return nil
}

// pullSecrets are the secrets that the pod's images may be pulled with. As with
// a kubelet, those that are missing are left out.
func pullSecrets(sb *sandbox.Sandbox) []v1.Secret {
	var secrets []v1.Secret
	for _, ref := range sb.Pod.Spec.ImagePullSecrets {
		if secret := sb.Objects.Secrets[ref.Name]; secret != nil {
			secrets = append(secrets, *secret)
		}
	}
	return secrets
}
