package pod

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	v1 "k8s.io/api/core/v1"

	"podrun/pod/manifest"
	"podrun/pod/objects"
	"podrun/sandbox"
)

// keeping is an object that a call of Up keeps, and the one that it took the
// place of, nil for none.
type keeping struct{ kept, replaced objects.Object }

// objectsOf are the objects that a manifest declares for pods.
func objectsOf(m *manifest.Manifest) []objects.Object {
	var list []objects.Object
	for _, object := range m.ConfigMaps {
		list = append(list, object)
	}
	for _, object := range m.Secrets {
		list = append(list, object)
	}
	for _, object := range m.Claims {
		list = append(list, object)
	}
	return list
}

// keepAll keeps all objects, or says why one cannot be kept.
func (u *upCall) keepAll(ctx context.Context, wanted []objects.Object) error {
	if len(wanted) == 0 {
		return nil
	}
	unlock, err := u.engine.lockRecords(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	for _, object := range wanted {
		existing, change, err := changeOf(u.engine.objects, object)
		if err != nil {
			return err
		}
		if change != Unchanged {
			// Noted before it is done: an error does not say that it was not.
			u.kept = append(u.kept, keeping{kept: object, replaced: existing})
			if _, err := u.engine.objects.Put(object); err != nil {
				return err
			}
		}
		u.tell(objects.RefOf(object).String(), change)
	}
	return nil
}

// putBack undoes keepAll, but for what somebody else has changed since, or uses.
func (u *upCall) putBack(ctx context.Context) error {
	if len(u.kept) == 0 {
		return nil
	}
	unlock, err := u.engine.lockRecords(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	records, err := u.engine.sandboxes.List(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, k := range slices.Backward(u.kept) {
		ref := objects.RefOf(k.kept)
		now, err := u.engine.objects.Get(ref)
		switch {
		case errdefs.IsNotFound(err):
		case err != nil:
			errs = append(errs, err)
		case !objects.Equal(now, k.kept):
		case k.replaced != nil:
			_, err := u.engine.objects.Put(k.replaced)
			errs = append(errs, err)
		case len(users(records, ref)) == 0:
			errs = append(errs, u.engine.forget(ctx, ref, func(string) {}))
		}
	}
	return errors.Join(errs...)
}

// InUseError says that an object is not removed, because pods use it.
type InUseError struct {
	Name string // configmap/env
	Pods []string
}

func (e *InUseError) Error() string {
	return fmt.Sprintf("remove %s: used by pod %s", e.Name, strings.Join(e.Pods, ", "))
}

// ForgetOptions say which objects Forget removes.
type ForgetOptions struct {
	// Claims are removed too, and their data.
	Claims bool
	// Force removes what living pods use.
	Force bool
	// Removed is told each object, such as "configmap/env", that was removed.
	Removed func(name string)
}

// Forget removes the objects that a manifest names; what is not there is no
// error. One that a living pod uses stays: an InUseError, after all others.
func (e *Engine) Forget(ctx context.Context, named *manifest.Manifest, options ForgetOptions) error {
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
	for _, object := range objectsOf(named) {
		ref := objects.RefOf(object)
		if ref.Kind == objects.Claim && !options.Claims {
			continue
		}
		if pods := users(records, ref); len(pods) > 0 && !options.Force {
			errs = append(errs, &InUseError{Name: ref.String(), Pods: pods})
			continue
		}
		errs = append(errs, e.forget(ctx, ref, options.Removed))
	}
	return errors.Join(errs...)
}

func (e *Engine) forget(ctx context.Context, ref objects.Ref, removed func(string)) error {
	if _, err := e.objects.Get(ref); errdefs.IsNotFound(err) {
		return nil
	}
	if ref.Kind == objects.Claim {
		if err := e.sandboxes.RemoveClaim(ctx, ref.Namespace, ref.Name); err != nil {
			return err
		}
	}
	if err := e.objects.Delete(ref); err != nil {
		return err
	}
	removed(ref.String())
	return nil
}

// checkClaims refuses a pod that wants a claim which another pod has for itself
// alone.
func (e *Engine) checkClaims(records []*sandbox.Sandbox, pod *v1.Pod) error {
	for _, wanted := range manifest.References(pod) {
		ref := refOf(wanted)
		if ref.Kind != objects.Claim {
			continue
		}
		object, err := e.objects.Get(ref)
		if errdefs.IsNotFound(err) {
			continue
		}
		if err != nil {
			return err
		}
		if !slices.Contains(object.(*v1.PersistentVolumeClaim).Spec.AccessModes, v1.ReadWriteOncePod) {
			continue
		}
		if pods := users(records, ref); len(pods) > 0 {
			return fmt.Errorf("pod %q: %s is ReadWriteOncePod, and pod %q uses it", pod.Name, ref, pods[0])
		}
	}
	return nil
}

func refOf(r manifest.Reference) objects.Ref {
	return objects.Ref{Kind: objects.Kind(r.Kind), Namespace: r.Namespace, Name: r.Name}
}

// users are the names of the living pods that refer to an object.
func users(records []*sandbox.Sandbox, ref objects.Ref) []string {
	var pods []string
	for _, sb := range records {
		if sb.Memory.Stopped || sb.Pod.DeletionTimestamp != nil {
			continue
		}
		uses := slices.ContainsFunc(manifest.References(sb.Pod), func(r manifest.Reference) bool {
			return refOf(r) == ref
		})
		if uses {
			pods = append(pods, sb.Pod.Name)
		}
	}
	slices.Sort(pods)
	return pods
}
