package image

import (
	"context"
	"fmt"

	"github.com/containerd/errdefs"
	v1 "k8s.io/api/core/v1"
)

// Want is an image that a container wants.
type Want struct {
	Ref    string
	Policy v1.PullPolicy
	// Secrets hold credentials, in the order of the pod's imagePullSecrets.
	Secrets []v1.Secret
}

// Ensure gets an image as a container's imagePullPolicy asks for: Always
// contacts the registry, IfNotPresent (and "") only when the image is not
// there, Never not at all. It blocks until the image is unpacked. progress may
// be nil; it is not called after Ensure has returned.
//
// Errors are *Error, as a kubelet's EnsureImageExists has them, except when ctx
// is done.
func (s *Store) Ensure(ctx context.Context, want Want, progress func(Progress)) (*Image, error) {
	ref := want.Ref
	if _, err := parse(ref); err != nil {
		return nil, err
	}
	if want.Policy == v1.PullAlways {
		return s.pullWith(ctx, ref, want.Secrets, progress)
	}
	image, err := s.Get(ctx, ref)
	if err == nil {
		err = s.unpack(ctx, image)
	}
	switch {
	case err == nil:
		return image, nil
	case ctx.Err() != nil:
		return nil, fmt.Errorf("get image %q: %w", ref, context.Cause(ctx))
	case !errdefs.IsNotFound(err):
		return nil, &Error{Reason: ImageInspectError, Message: fmt.Sprintf("inspect image %q: %s", ref, brief("", err)), Err: err}
	case want.Policy == v1.PullNever:
		return nil, &Error{
			Reason:  ErrImageNeverPull,
			Message: fmt.Sprintf("Container image %q is not present with pull policy of Never", ref),
			Err:     err,
		}
	}
	return s.pullWith(ctx, ref, want.Secrets, progress)
}
