package pod

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/containerd/errdefs"
	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"

	"podrun/container/image"
	"podrun/pod/manifest"
	"podrun/pod/status"
	"podrun/pod/supervise"
	"podrun/sandbox"
)

// UpOptions say how Up goes about it.
type UpOptions struct {
	// Replace allows a pod to be removed and made anew where the manifest
	// changes what cannot be changed.
	Replace bool
	// Detach returns when the pods are accepted and supervised.
	Detach bool
	// Wait returns when each pod is Ready or has succeeded. One that fails after it
	// has started is left in place.
	Wait bool
	// Keep leaves in place what could not be started.
	Keep bool
	// PauseImage is the image of pause containers; empty for the bundled one.
	PauseImage string
	// Changed is told each object, such as "pod/web", once it is accepted.
	Changed func(name string, change Change)
	// Accepted is told the pods once all are accepted, before they are started.
	Accepted func([]*v1.Pod)
	// Progress is told what is being done; may be nil.
	Progress func(*v1.Pod, supervise.Progress)
}

// StartError says why a pod could not start, in the words of its status.
type StartError struct {
	Ref             Ref
	Reason, Message string
}

func (e *StartError) Error() string {
	return fmt.Sprintf("start pod %q: %s: %s", e.Ref.Name, e.Reason, e.Message)
}

// Up brings about what a manifest says, the pods' objects first, and returns
// the pods as they then are. What cannot be brought about at all is refused
// before anything is touched: a DiffersError, or manifest.Problems. Unless
// Detach is asked for it returns when each pod has started; when one cannot, or
// ctx ends, what this call created is removed again and objects that it changed
// are put back.
func (e *Engine) Up(ctx context.Context, wish *manifest.Manifest, options UpOptions) ([]v1.Pod, error) {
	records, err := e.sandboxes.List(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := foresee(records, e.objects, wish, options); err != nil {
		return nil, err
	}
	up := &upCall{engine: e, options: options}
	if len(wish.Pods) > 0 {
		if up.pause, err = e.pauseImage(ctx, options.PauseImage); err != nil {
			return nil, err
		}
	}
	var accepted []*v1.Pod
	if err = up.keepAll(ctx, objectsOf(wish)); err == nil {
		accepted, err = up.acceptAll(ctx, wish.Pods)
	}
	if err == nil && options.Accepted != nil {
		options.Accepted(accepted)
	}
	if err == nil && !options.Detach {
		var started []v1.Pod
		if started, err = up.start(ctx, accepted); err == nil {
			return started, nil
		}
	}
	var failed *FailedError
	if err != nil && !options.Keep && !errors.As(err, &failed) {
		return nil, errors.Join(err, up.rollBack(context.WithoutCancel(ctx)))
	}
	result, left := up.leave(context.WithoutCancel(ctx), accepted)
	return result, errors.Join(err, left)
}

// upCall is one call of Up.
type upCall struct {
	engine  *Engine
	options UpOptions
	pause   *image.Image
	created []*v1.Pod
	kept    []keeping
}

func (u *upCall) acceptAll(ctx context.Context, pods []*v1.Pod) ([]*v1.Pod, error) {
	var accepted []*v1.Pod
	for _, pod := range pods {
		record, change, err := u.accept(ctx, pod)
		if err != nil {
			return accepted, err
		}
		accepted = append(accepted, record)
		u.tell(podName(pod), change)
	}
	return accepted, nil
}

func (u *upCall) tell(name string, change Change) {
	if u.options.Changed != nil {
		u.options.Changed(name, change)
	}
}

// accept sees to it that there is a record of the pod as it is wished for.
func (u *upCall) accept(ctx context.Context, pod *v1.Pod) (*v1.Pod, Change, error) {
	made, left := Created, Unchanged
	for {
		record, change, err := u.write(ctx, pod)
		var differs *DiffersError
		switch {
		case err == nil && change == Created:
			return record, made, nil
		case err == nil && change == Unchanged:
			return record, left, nil
		case err == nil:
			return record, change, nil
		case errors.Is(err, errStopped):
			left = Configured
			err := u.engine.beginAnew(ctx, string(record.UID))
			if err != nil && !errors.Is(err, errLeaving) && !errdefs.IsNotFound(err) {
				return nil, "", fmt.Errorf("start pod %q: %w", pod.Name, err)
			}
		case errors.As(err, &differs) && u.options.Replace:
			made = Replaced
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

var (
	// errLeaving says that a pod of that name exists and is being deleted.
	errLeaving = errors.New("the pod is being deleted")
	// errStopped says that the pod is as it is wished for, but is kept from running.
	errStopped = errors.New("the pod is stopped")
)

// write looks for the pod and writes its record, new or changed; the lock on
// all records makes sure that there are never two pods of one name.
func (u *upCall) write(ctx context.Context, pod *v1.Pod) (*v1.Pod, Change, error) {
	unlock, err := u.engine.lockRecords(ctx)
	if err != nil {
		return nil, "", err
	}
	defer unlock()
	records, err := u.engine.sandboxes.List(ctx)
	if err != nil {
		return nil, "", err
	}
	existing := recordOf(records, RefOf(pod))
	switch {
	case existing == nil:
		return u.create(ctx, records, pod)
	case existing.Pod.DeletionTimestamp != nil:
		return nil, "", errLeaving
	}
	change, err := changeOfPod(existing.Pod, pod)
	if err == nil && change != Unchanged {
		err = u.engine.configure(ctx, existing, pod)
	}
	if err == nil && kept(existing) {
		err = errStopped
	}
	return existing.Pod, change, err
}

func (u *upCall) create(ctx context.Context, records []*sandbox.Sandbox, pod *v1.Pod) (*v1.Pod, Change, error) {
	if err := errors.Join(checkHostPorts(records, pod), u.engine.checkClaims(records, pod)); err != nil {
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

// configure writes into the record what can be changed of a pod; its
// supervisor does the rest.
func (e *Engine) configure(ctx context.Context, existing *sandbox.Sandbox, pod *v1.Pod) error {
	pod = succeeding(existing.Pod, pod)
	if !equality.Semantic.DeepEqual(existing.Pod.Spec, pod.Spec) {
		existing.Pod.Generation++
	}
	existing.Pod.Labels = maps.Clone(pod.Labels)
	existing.Pod.Annotations = maps.Clone(pod.Annotations)
	pod.Spec.DeepCopyInto(&existing.Pod.Spec)
	return e.sandboxes.SavePod(ctx, existing)
}

// start brings the pods to where each has started, gives each a supervisor of
// its own, and returns them; or it says why one cannot start.
func (u *upCall) start(ctx context.Context, pods []*v1.Pod) ([]v1.Pod, error) {
	started := make([]v1.Pod, len(pods))
	group, ctx := errgroup.WithContext(ctx)
	for i, pod := range pods {
		group.Go(func() error {
			v, err := u.engine.bringUp(ctx, pod, func(p supervise.Progress) {
				if u.options.Progress != nil {
					u.options.Progress(pod, p)
				}
			})
			if err == nil {
				err = u.engine.ensureSupervised(v)
			}
			if err == nil && u.options.Wait {
				v, err = u.engine.await(ctx, RefOf(pod), string(pod.UID), status.Goal{Kind: status.GoalUp})
			}
			if err == nil {
				started[i] = *v.pod
			}
			return err
		})
	}
	return started, group.Wait()
}

// bringUp brings a pod to where it has started, or says why it cannot start.
// Afterwards it may be without an owner.
func (e *Engine) bringUp(ctx context.Context, pod *v1.Pod, progress func(supervise.Progress)) (*view, error) {
	var last *view
	err := e.attend(ctx, string(pod.UID), progress, func(v *view) (bool, error) {
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

// rollBack removes what this call created, at once, and then puts the objects
// back that pods may have used.
func (u *upCall) rollBack(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, rollBackTimeout)
	defer cancel()
	return errors.Join(u.removeCreated(ctx), u.putBack(ctx))
}

func (u *upCall) removeCreated(ctx context.Context) error {
	var group errgroup.Group
	for _, pod := range u.created {
		group.Go(func() error {
			err := u.engine.Remove(ctx, RefOf(pod), RemoveOptions{Grace: new(int64), UID: string(pod.UID)})
			if errors.Is(err, ErrNotFound) {
				return nil
			}
			return err
		})
	}
	return group.Wait()
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
	pause, err := e.images.Ensure(ctx, image.Want{Ref: name, Policy: v1.PullIfNotPresent}, nil)
	if err != nil {
		return nil, fmt.Errorf("get pause image: %w", err)
	}
	return pause, nil
}

// defaultPauseImage is what a kubelet of this version uses.
const defaultPauseImage = "registry.k8s.io/pause:3.10.2"
