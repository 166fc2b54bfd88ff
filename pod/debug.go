package pod

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/containerd/errdefs"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/rand"

	"podrun/container"
	"podrun/container/logs"
	"podrun/pod/manifest"
	"podrun/pod/status"
	"podrun/pod/supervise"
	"podrun/sandbox"
)

// ErrInvalid says that a container cannot be added to a pod as it is.
var ErrInvalid = errors.New("invalid container")

// Debugger is an ephemeral container that Debug has started.
type Debugger struct {
	Name string

	engine   *Engine
	ref      Ref
	uid      string    // of its pod
	since    time.Time // when it was written into the record, zero before
	files    logs.Files
	output   *logs.Attached
	spec     *v1.Container
	instance *status.Container // once it has started
}

// Debug adds an ephemeral container to a pod and returns when it has started. One
// without a name is given one, as kubectl does; accepted is told the name when the
// container is a part of the pod. The caller closes what it gets.
//
// What cannot be is refused before anything is touched: ErrInvalid, ErrNoContainer
// for a target that there is not, ErrNotUp for a pod that has ended. A container
// that cannot start, or has not when ctx ends, is taken away again.
func (e *Engine) Debug(ctx context.Context, ref Ref, c v1.EphemeralContainer, accepted func(name string)) (*Debugger, error) {
	v, err := e.find(ctx, ref)
	if err != nil {
		return nil, err
	}
	if c.Name == "" {
		c.Name = debuggerName(v.pod)
	}
	d := &Debugger{Name: c.Name, engine: e, ref: ref, uid: v.sandbox.UID()}
	d.files = supervise.LogFiles(e.sandboxes, d.uid, d.Name, 0)
	if err := d.check(v, c); err != nil {
		return nil, err
	}
	err = d.add(ctx, c)
	if err == nil {
		accepted(d.Name)
		err = d.start(ctx)
	}
	if err != nil {
		d.Close()
		if !d.since.IsZero() {
			err = errors.Join(err, d.withdraw(context.WithoutCancel(ctx)))
		}
		return nil, err
	}
	return d, nil
}

// debuggerName is a name that no container of a pod has.
func debuggerName(pod *v1.Pod) string {
	for {
		name := "debugger-" + rand.String(5)
		if _, taken := status.MemberOf(pod, name); !taken {
			return name
		}
	}
}

// check says why the container cannot be added to its pod as it is seen.
func (d *Debugger) check(v *view, c v1.EphemeralContainer) error {
	if c.TargetContainerName != "" {
		if _, err := containerName(v.pod, c.TargetContainerName); err != nil {
			return err
		}
	}
	if _, err := d.with(v.sandbox, c); err != nil {
		return err
	}
	if ending(v) {
		return d.error(ErrNotUp)
	}
	if target := v.observed.Newest(c.TargetContainerName); c.TargetContainerName != "" && (target == nil || target.State != status.Running) {
		return d.error(fmt.Errorf("target %q: %w", c.TargetContainerName, ErrNotRunning))
	}
	if v.observed.Newest(d.Name) != nil { // and yet the pod does not have it
		return d.error(fmt.Errorf("an earlier container %q is still being removed", d.Name))
	}
	return nil
}

// ending says whether nothing is to run any more in a pod.
func ending(v *view) bool { return v.pod.DeletionTimestamp != nil || v.observed.Ending(v.pod) }

func (d *Debugger) error(err error) error { return fmt.Errorf("debug pod %q: %w", d.ref.Name, err) }

// with returns the pod of a record with the container in addition.
func (d *Debugger) with(sb *sandbox.Sandbox, c v1.EphemeralContainer) (*v1.Pod, error) {
	changed, errs := manifest.AddEphemeral(sb.Pod, c)
	if len(errs) > 0 {
		return nil, d.error(fmt.Errorf("%w: %w", ErrInvalid, errs.ToAggregate()))
	}
	changed.Generation++
	return changed, nil
}

// add writes the container into the record of its pod; the supervisor does the
// rest. Its output is attended to before there can be any.
func (d *Debugger) add(ctx context.Context, c v1.EphemeralContainer) error {
	unlock, err := d.engine.lockRecords(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	sb, err := d.engine.sandboxes.Load(ctx, d.uid)
	if err == nil && (sb.Pod.DeletionTimestamp != nil || sb.Halt != nil || sb.Memory.Stopped) {
		err = ErrNotUp
	}
	if err != nil {
		return d.error(err)
	}
	if sb.Pod, err = d.with(sb, c); err != nil {
		return err
	}
	if err := d.files.Create(); err != nil {
		return err
	}
	if d.output, err = d.files.Attach(); err != nil {
		return err
	}
	d.since = time.Now() // an error does not say that it was not written
	return d.engine.sandboxes.SavePod(ctx, sb)
}

// start brings the container to where it has started, or says why it cannot be.
func (d *Debugger) start(ctx context.Context) error {
	var last *view
	err := d.engine.attend(ctx, d.uid, nil, func(v *view) (started bool, err error) {
		if v == nil {
			return true, d.error(fmt.Errorf("it was removed meanwhile: %w", ErrNotFound))
		}
		last = v
		d.instance, err = d.look(v)
		return d.instance != nil, err
	})
	if err != nil {
		return err
	}
	m, _ := status.MemberOf(last.pod, d.Name) // look has seen it
	d.spec = m.Container
	return d.engine.ensureSupervised(last)
}

// look returns the instance, once it has started, or says why it does not start.
func (d *Debugger) look(v *view) (*status.Container, error) {
	m, has := status.MemberOf(v.pod, d.Name)
	newest := v.observed.Newest(d.Name)
	switch {
	case !has:
		return nil, d.error(errors.New("the container was taken away meanwhile"))
	case newest != nil && newest.Reason == status.ReasonStartError:
		return nil, d.failed(status.ReasonRunContainer, newest.Message)
	case newest != nil && (newest.State == status.Running || newest.Dead()):
		return newest, nil
	case ending(v):
		return nil, d.error(ErrNotUp)
	}
	if f, failed := status.ContainerFailure(v.pod, &v.observed, m.Container); failed && f.At.After(d.since) {
		return nil, d.failed(f.Reason, f.Message)
	}
	if f, failed := v.observed.Failures[""]; failed && f.Reason == status.ReasonCreateSandbox && v.sandbox.State != sandbox.Ready {
		return nil, d.failed(f.Reason, f.Message)
	}
	return nil, nil
}

func (d *Debugger) failed(reason, message string) error {
	return fmt.Errorf("start container %q of pod %q: %s: %s", d.Name, d.ref.Name, reason, message)
}

// withdraw takes the container away again, and returns when nothing of it is left.
func (d *Debugger) withdraw(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, rollBackTimeout)
	defer cancel()
	if err := d.drop(ctx); err != nil {
		return err
	}
	var last *view
	err := d.engine.attend(ctx, d.uid, nil, func(v *view) (bool, error) {
		last = v
		return v == nil || v.over() || v.observed.Newest(d.Name) == nil, nil
	})
	if err == nil && last != nil {
		err = d.engine.ensureSupervised(last)
	}
	return errors.Join(err, d.files.Remove())
}

// drop takes the container out of its pod's record.
func (d *Debugger) drop(ctx context.Context) error {
	unlock, err := d.engine.lockRecords(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	sb, err := d.engine.sandboxes.Load(ctx, d.uid)
	if errdefs.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	sb.Pod.Spec.EphemeralContainers = slices.DeleteFunc(sb.Pod.Spec.EphemeralContainers,
		func(c v1.EphemeralContainer) bool { return c.Name == d.Name })
	sb.Pod.Generation++
	if err := d.engine.sandboxes.SavePod(ctx, sb); !errdefs.IsNotFound(err) {
		return err
	}
	return nil // the pod is gone, and the container with it
}

// Attach hands on all that the container writes, and what it is to read, until
// it ends, and returns its exit code, or ctx is done.
func (d *Debugger) Attach(ctx context.Context, a Attachment) (int, error) {
	t := &attachable{pod: d.ref.Name, uid: d.uid, spec: d.spec, instance: d.instance}
	err := d.engine.converse(ctx, t, d.output, a)
	if errors.Is(err, container.ErrInputClosed) { // it has ended already
		a.Stdin = nil
		err = d.engine.converse(ctx, t, d.output, a)
	}
	if err != nil {
		return 0, err
	}
	return d.exitCode(ctx)
}

// exitCode is that of the container, which has ended.
func (d *Debugger) exitCode(ctx context.Context) (int, error) {
	v, err := d.engine.lookOrGone(ctx, d.uid)
	if err != nil {
		return 0, err
	}
	if v != nil {
		if newest := v.observed.Newest(d.Name); newest != nil && newest.Dead() {
			return int(newest.ExitCode), nil
		}
	}
	return 0, d.error(errors.New("it was removed meanwhile"))
}

// Close gives up the container's output; the container goes on.
func (d *Debugger) Close() {
	if d.output != nil {
		d.output.Close()
	}
}
