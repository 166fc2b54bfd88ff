package pod

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"podrun/container/image"
	"podrun/container/stack"
	"podrun/pod/manifest"
	"podrun/pod/status"
	"podrun/pod/supervise"
	"podrun/sandbox"
)

// Change is what Up did with a pod.
type Change string

// The changes that Up makes.
const (
	Created    Change = "created"
	Configured Change = "configured"
	Unchanged  Change = "unchanged"
	Replaced   Change = "replaced"
)

// UpOptions say how Up goes about it.
type UpOptions struct {
	// Replace allows a pod to be removed and made anew where the manifest
	// changes what cannot be changed.
	Replace bool
	// Detach returns when the pods are accepted and supervised.
	Detach bool
	// Keep leaves in place what could not be started.
	Keep bool
	// PauseImage is the image of pause containers; empty for the bundled one.
	PauseImage string
	// Changed is told each pod once it is accepted.
	Changed func(*v1.Pod, Change)
	// Progress is told what is being done; may be nil.
	Progress func(*v1.Pod, supervise.Progress)
}

// DiffersError says that a pod exists and that the manifest changes of it what
// cannot be changed.
type DiffersError struct {
	Ref    Ref
	Fields []string
}

func (e *DiffersError) Error() string {
	return fmt.Sprintf("pod %q exists, and these fields cannot be changed: %s", e.Ref.Name, strings.Join(e.Fields, ", "))
}

// StartError says why a pod could not start, in the words of its status.
type StartError struct {
	Ref             Ref
	Reason, Message string
}

func (e *StartError) Error() string {
	return fmt.Sprintf("start pod %q: %s: %s", e.Ref.Name, e.Reason, e.Message)
}

// Up brings about the pods, as they come from a manifest, and returns them as
// they then are. Unless Detach is asked for it returns when each has started;
// when one cannot, or ctx ends, what this call created is removed again, and
// nothing else.
func (e *Engine) Up(ctx context.Context, pods []*v1.Pod, options UpOptions) ([]v1.Pod, error) {
	pause, err := e.pauseImage(ctx, options.PauseImage)
	if err != nil {
		return nil, err
	}
	if !options.Replace {
		// All are refused or none, before anything is touched.
		if err := e.checkChanges(ctx, pods); err != nil {
			return nil, err
		}
	}
	up := &upCall{engine: e, options: options, pause: pause}
	accepted, err := up.acceptAll(ctx, pods)
	if err == nil && !options.Detach {
		var started []v1.Pod
		if started, err = up.start(ctx, accepted); err == nil {
			return started, nil
		}
	}
	if err != nil && !options.Keep {
		return nil, errors.Join(err, up.rollBack(context.WithoutCancel(ctx)))
	}
	result, left := up.leave(context.WithoutCancel(ctx), accepted)
	return result, errors.Join(err, left)
}

// checkChanges refuses changes of pods that cannot be made.
func (e *Engine) checkChanges(ctx context.Context, pods []*v1.Pod) error {
	records, err := e.sandboxes.List(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, pod := range pods {
		for _, existing := range records {
			if RefOf(existing.Pod) == RefOf(pod) && existing.Pod.DeletionTimestamp == nil {
				if fields := fixed(manifest.Diff(existing.Pod, pod)); len(fields) > 0 {
					errs = append(errs, &DiffersError{Ref: RefOf(pod), Fields: fields})
				}
			}
		}
	}
	return errors.Join(errs...)
}

// WouldChange returns what Up would do with a pod, and does nothing.
func (e *Engine) WouldChange(ctx context.Context, pod *v1.Pod, options UpOptions) (Change, error) {
	existing, err := e.record(ctx, RefOf(pod))
	switch {
	case errors.Is(err, ErrNotFound):
		return Created, e.checkHostPorts(ctx, pod)
	case err != nil:
		return "", err
	}
	differing := manifest.Diff(existing.Pod, pod)
	switch fields := fixed(differing); {
	case len(differing) == 0:
		return Unchanged, nil
	case len(fields) == 0:
		return Configured, nil
	case options.Replace:
		return Replaced, nil
	default:
		return "", &DiffersError{Ref: RefOf(pod), Fields: fields}
	}
}

// fixed picks the fields that cannot be changed on a pod that exists.
func fixed(fields []string) []string {
	var list []string
	for _, field := range fields {
		if !strings.HasPrefix(field, "metadata.labels") && !strings.HasPrefix(field, "metadata.annotations") {
			list = append(list, field)
		}
	}
	return list
}

// upCall is one call of Up.
type upCall struct {
	engine  *Engine
	options UpOptions
	pause   *image.Image
	created []*v1.Pod
}

func (u *upCall) acceptAll(ctx context.Context, pods []*v1.Pod) ([]*v1.Pod, error) {
	var accepted []*v1.Pod
	for _, pod := range pods {
		record, change, err := u.accept(ctx, pod)
		if err != nil {
			return accepted, err
		}
		accepted = append(accepted, record)
		if u.options.Changed != nil {
			u.options.Changed(record, change)
		}
	}
	return accepted, nil
}

// accept sees to it that there is a record of the pod as it is wished for.
func (u *upCall) accept(ctx context.Context, pod *v1.Pod) (*v1.Pod, Change, error) {
	done := Created
	for {
		record, change, err := u.write(ctx, pod)
		var differs *DiffersError
		switch {
		case err == nil && change == Created:
			return record, done, nil
		case err == nil:
			return record, change, nil
		case errors.As(err, &differs) && u.options.Replace:
			done = Replaced
			if err := u.engine.Remove(ctx, RefOf(pod), RemoveOptions{}); err != nil && !errors.Is(err, ErrNotFound) {
				return nil, "", err
			}
		case errors.Is(err, errLeaving):
			if err := u.engine.Remove(ctx, RefOf(pod), RemoveOptions{}); err != nil && !errors.Is(err, ErrNotFound) {
				return nil, "", err
			}
		default:
			return nil, "", err
		}
	}
}

// errLeaving says that a pod of that name exists and is being deleted.
var errLeaving = errors.New("the pod is being deleted")

// write looks for the pod and writes its record, new or changed; the lock on
// all records makes sure that there are never two pods of one name.
func (u *upCall) write(ctx context.Context, pod *v1.Pod) (*v1.Pod, Change, error) {
	unlock, err := u.engine.lockRecords(ctx)
	if err != nil {
		return nil, "", err
	}
	defer unlock()
	existing, err := u.engine.record(ctx, RefOf(pod))
	switch {
	case errors.Is(err, ErrNotFound):
		return u.create(ctx, pod)
	case err != nil:
		return nil, "", err
	case existing.Pod.DeletionTimestamp != nil:
		return nil, "", errLeaving
	}
	differing := manifest.Diff(existing.Pod, pod)
	switch fields := fixed(differing); {
	case len(differing) == 0:
		return existing.Pod, Unchanged, nil
	case len(fields) > 0:
		return nil, "", &DiffersError{Ref: RefOf(pod), Fields: fields}
	}
	return u.configure(ctx, existing, pod)
}

func (u *upCall) create(ctx context.Context, pod *v1.Pod) (*v1.Pod, Change, error) {
	if err := u.engine.checkHostPorts(ctx, pod); err != nil {
		return nil, "", err
	}
	record := pod.DeepCopy()
	record.UID = types.UID(uuid.NewString())
	record.CreationTimestamp = now()
	record.Generation = 1
	// Noted before it is written: an error does not say that it was not.
	u.created = append(u.created, record)
	return record, Created, u.engine.sandboxes.Register(ctx, record, u.pause)
}

func (u *upCall) configure(ctx context.Context, existing *sandbox.Sandbox, pod *v1.Pod) (*v1.Pod, Change, error) {
	existing.Pod.Labels = maps.Clone(pod.Labels)
	existing.Pod.Annotations = maps.Clone(pod.Annotations)
	return existing.Pod, Configured, u.engine.sandboxes.SavePod(ctx, existing)
}

// start brings the pods to where each has started, gives each a supervisor of
// its own, and returns them; or it says why one cannot start.
func (u *upCall) start(ctx context.Context, pods []*v1.Pod) ([]v1.Pod, error) {
	started := make([]v1.Pod, len(pods))
	group, ctx := errgroup.WithContext(ctx)
	for i, pod := range pods {
		group.Go(func() error {
			v, err := u.startOne(ctx, pod)
			if err != nil {
				return err
			}
			started[i] = *v.pod
			return u.engine.ensureSupervised(v)
		})
	}
	return started, group.Wait()
}

func (u *upCall) startOne(ctx context.Context, pod *v1.Pod) (*view, error) {
	tell := func(p supervise.Progress) {
		if u.options.Progress != nil {
			u.options.Progress(pod, p)
		}
	}
	var last *view
	err := u.engine.attend(ctx, string(pod.UID), tell, func(v *view) (bool, error) {
		if v == nil {
			return true, fmt.Errorf("start pod %q: it was removed meanwhile", pod.Name)
		}
		last = v
		if reason, message, blocked := status.Blocked(v.pod, v.observed); blocked {
			return true, &StartError{Ref: RefOf(pod), Reason: reason, Message: message}
		}
		return status.Started(v.pod, v.observed), nil
	})
	return last, err
}

// leave gives each pod that needs one a supervisor of its own, and returns the
// pods as they are.
func (u *upCall) leave(ctx context.Context, pods []*v1.Pod) ([]v1.Pod, error) {
	var result []v1.Pod
	var errs []error
	for _, pod := range pods {
		v, err := u.engine.lookOrGone(ctx, string(pod.UID))
		if err == nil && v != nil {
			result = append(result, *v.pod)
			err = u.engine.ensureSupervised(v)
		}
		errs = append(errs, err)
	}
	return result, errors.Join(errs...)
}

// rollBackTimeout bounds the removal of what could not be started.
const rollBackTimeout = 30 * time.Second

// rollBack removes what this call created, at once.
func (u *upCall) rollBack(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, rollBackTimeout)
	defer cancel()
	var group errgroup.Group
	for _, pod := range u.created {
		group.Go(func() error {
			for {
				err := u.engine.Remove(ctx, RefOf(pod), RemoveOptions{Grace: new(int64), UID: string(pod.UID)})
				switch {
				case errors.Is(err, ErrNotFound):
					return nil
				case !errdefs.IsUnavailable(err) || u.engine.revive(ctx) != nil:
					return err
				}
				select {
				case <-ctx.Done():
					return err
				case <-time.After(lookAgain):
				}
			}
		})
	}
	return group.Wait()
}

// revive starts a containerd that died, and connects to it again.
func (e *Engine) revive(ctx context.Context) error {
	if err := stack.Revive(ctx, e.config.Stack()); err != nil {
		return err
	}
	return errors.Join(e.client.Reconnect(), context.Cause(ctx))
}

// pauseImage returns the image of pause containers: the one that was named,
// pulled if need be, or the bundled one.
func (e *Engine) pauseImage(ctx context.Context, name string) (*image.Image, error) {
	switch {
	case name != "":
	case e.stack.Pause != "":
		return e.images.ImportPause(ctx, e.stack.Pause, e.stack.Version)
	default:
		name = defaultPauseImage
	}
	pause, err := e.images.Ensure(ctx, name, v1.PullIfNotPresent, nil)
	if err != nil {
		return nil, fmt.Errorf("get pause image: %w", err)
	}
	return pause, nil
}

// defaultPauseImage is what a kubelet of this version uses.
const defaultPauseImage = "registry.k8s.io/pause:3.10.2"
