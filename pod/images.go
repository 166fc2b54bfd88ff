package pod

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/containerd/errdefs"
	v1 "k8s.io/api/core/v1"
	podutil "k8s.io/kubernetes/pkg/api/v1/pod"

	"podrun/container/image"
	"podrun/sandbox"
)

// RemoveImages removes the images that references mean, each a name or a
// digest, and all of their content that nothing needs any more. One that a pod
// uses stays, an InUseError, unless force says otherwise; then the pod's
// containers keep their files. removed is told each name that is gone. After an
// error it goes on with the others.
func (e *Engine) RemoveImages(ctx context.Context, refs []string, force bool, removed func(name string)) error {
	unlock, err := e.lockRecords(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	records, err := e.sandboxes.List(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, ref := range refs {
		found, err := e.images.Match(ctx, ref)
		if err != nil {
			errs = append(errs, fmt.Errorf("remove %w", err))
			continue
		}
		for _, img := range found {
			pods := imageUsers(records, img)
			if len(pods) > 0 && !force {
				errs = append(errs, &InUseError{Name: "image/" + img.Name, Pods: pods})
				continue
			}
			err := e.images.Remove(ctx, img.Name)
			if err == nil {
				removed(img.Name)
			}
			if !errdefs.IsNotFound(err) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(append(errs, e.containers.Collect(ctx))...)
}

// imageUsers are the names of the pods that an image is for, whether they run
// or have ended: what has ended can be started again.
func imageUsers(records []*sandbox.Sandbox, img image.Image) []string {
	var pods []string
	for _, sb := range records {
		if sb.Image == img.Name || slices.ContainsFunc(podImages(sb.Pod), func(ref string) bool {
			name, err := image.Normalize(ref)
			return err == nil && (name == img.Name || name == img.ID)
		}) {
			pods = append(pods, sb.Pod.Name)
		}
	}
	slices.Sort(pods)
	return pods
}

// podImages are all images that a pod names.
func podImages(pod *v1.Pod) []string {
	var refs []string
	podutil.VisitContainers(&pod.Spec, podutil.AllContainers, func(c *v1.Container, _ podutil.ContainerType) bool {
		refs = append(refs, c.Image)
		return true
	})
	for _, volume := range pod.Spec.Volumes {
		if volume.Image != nil {
			refs = append(refs, volume.Image.Reference)
		}
	}
	return refs
}
