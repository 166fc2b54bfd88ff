package pod

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	v1 "k8s.io/api/core/v1"

	"podrun/container/logs"
	"podrun/pod/status"
	"podrun/pod/supervise"
)

// defaultContainer is the annotation by which a pod says which container is
// meant when none is named; it is kubectl's.
const defaultContainer = "kubectl.kubernetes.io/default-container"

// ErrNoContainer says that a pod has no container of that name.
var ErrNoContainer = errors.New("no such container")

// containerName returns the container that is meant by name, which may be
// empty.
func containerName(pod *v1.Pod, name string) (string, error) {
	if name == "" {
		name = pod.Annotations[defaultContainer]
	}
	if name == "" {
		return pod.Spec.Containers[0].Name, nil
	}
	var names []string
	for _, c := range status.Members(pod) {
		names = append(names, c.Name)
	}
	if !slices.Contains(names, name) {
		return "", fmt.Errorf("%w: pod %q has no container %q; it has %s", ErrNoContainer, pod.Name, name, strings.Join(names, ", "))
	}
	return name, nil
}

// LogOptions say which logs are meant, and what of them.
type LogOptions struct {
	logs.Options
	// Container is the one that is meant; empty for the one that is when none is
	// named.
	Container string
	// All means all containers, the init containers first.
	All bool
	// Previous means the instance before the present one.
	Previous bool
	// LimitBytes ends the output of each container, of all of its instances
	// together, after that many bytes; no limit when 0.
	LimitBytes int64
	// Named begins each line with the pod's and the container's name, as kubectl
	// does.
	Named bool
}

// Logs writes what containers have printed to stdout and stderr. With
// options.Follow it goes on until they have ended, and through their restarts;
// else it is the newest instance's.
func (e *Engine) Logs(ctx context.Context, ref Ref, options LogOptions, stdout, stderr io.Writer) error {
	v, err := e.find(ctx, ref)
	if err != nil {
		return err
	}
	names, err := logNames(v.pod, options)
	if err != nil {
		return err
	}
	if err := e.ensureSupervised(v); err != nil {
		return err
	}
	merger := logs.NewMerger(stdout, stderr)
	group, ctx := errgroup.WithContext(ctx)
	if !options.Follow {
		group.SetLimit(1) // one after the other
	}
	for _, name := range names {
		group.Go(func() error {
			out, err, flush := merger.Writers()
			if len(names) == 1 {
				out, err, flush = stdout, stderr, func() error { return nil }
			}
			reading := e.containerLogs(ctx, v, name, options, out, err)
			return errors.Join(reading, flush())
		})
	}
	return group.Wait()
}

// logNames lists the containers whose logs are meant.
func logNames(pod *v1.Pod, options LogOptions) ([]string, error) {
	if !options.All {
		name, err := containerName(pod, options.Container)
		return []string{name}, err
	}
	var names []string
	for _, c := range status.Members(pod) {
		names = append(names, c.Name)
	}
	return names, nil
}

// containerLogs writes what one container has printed.
func (e *Engine) containerLogs(ctx context.Context, v *view, name string, options LogOptions, stdout, stderr io.Writer) (err error) {
	instance, err := v.logged(name, options)
	if err != nil || instance == nil {
		return err
	}
	if options.LimitBytes > 0 {
		left := options.LimitBytes
		stdout, stderr = limited{stdout, &left}, limited{stderr, &left}
		defer func() {
			if errors.Is(err, errLimit) {
				err = nil
			}
		}()
	}
	if options.Named {
		options.Prefix = fmt.Sprintf("[pod/%s/%s] ", v.pod.Name, name)
	}
	err = e.instanceLogs(ctx, v.sandbox.UID(), instance, options.Options, stdout, stderr)
	if err != nil || !options.Follow || options.Previous {
		return err
	}
	return e.instancesLogs(ctx, v.sandbox.UID(), instance, options, stdout, stderr)
}

// errLimit ends the output of a container at LogOptions.LimitBytes.
var errLimit = errors.New("limit reached")

// limited is a stream that ends, together with others, after a number of bytes.
type limited struct {
	io.Writer
	left *int64
}

func (l limited) Write(p []byte) (int, error) {
	n, err := l.Writer.Write(p[:min(int64(len(p)), *l.left)])
	if *l.left -= int64(n); err == nil && *l.left == 0 {
		err = errLimit
	}
	return n, err
}

// instancesLogs writes what the instances of a container print that come after
// one, until there will be no more.
func (e *Engine) instancesLogs(ctx context.Context, uid string, last *status.Container, options LogOptions, stdout, stderr io.Writer) error {
	options.Tail = -1
	for {
		next, err := e.nextInstance(ctx, uid, last)
		if err != nil || next == nil {
			return err
		}
		if err := e.instanceLogs(ctx, uid, next, options.Options, stdout, stderr); err != nil {
			return err
		}
		last = next
	}
}

// logged returns the instance of a container whose log is meant, nil when there
// is none yet, which is an error if it was asked for by name.
func (v *view) logged(name string, options LogOptions) (*status.Container, error) {
	newest := v.observed.Newest(name)
	switch {
	case options.Previous:
		last := v.lastEnd(name)
		for _, c := range v.observed.Instances(name) {
			if last != "" && strings.HasSuffix(last, c.ID) {
				return c, nil
			}
		}
		return nil, fmt.Errorf("read logs of pod %q: container %q has no previous instance", v.pod.Name, name)
	case newest == nil && !options.All:
		return nil, fmt.Errorf("read logs of pod %q: container %q has not started yet", v.pod.Name, name)
	}
	return newest, nil
}

// lastEnd is the ID of the instance that the pod's status calls the last one
// of a container, empty for none.
func (v *view) lastEnd(name string) string {
	for _, s := range slices.Concat(v.pod.Status.InitContainerStatuses, v.pod.Status.ContainerStatuses) {
		if s.Name == name && s.LastTerminationState.Terminated != nil {
			return s.LastTerminationState.Terminated.ContainerID
		}
	}
	return ""
}

// instanceLogs writes what one instance of a container has printed. One that
// follows goes on until the instance has ended.
func (e *Engine) instanceLogs(ctx context.Context, uid string, instance *status.Container, options logs.Options, stdout, stderr io.Writer) error {
	files := supervise.LogFiles(e.sandboxes, uid, instance.Name, instance.Attempt)
	// The last output of one that has ended may still be on its way.
	options.Follow = options.Follow || instance.Dead()
	var ended <-chan struct{}
	if options.Follow {
		ended = e.ended(ctx, uid, instance)
	}
	err := files.Read(ctx, stdout, stderr, options, ended)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // nothing was printed yet
	}
	return err
}

// nextInstance waits for the instance that follows one which has ended; nil
// when there will be none.
func (e *Engine) nextInstance(ctx context.Context, uid string, ended *status.Container) (next *status.Container, err error) {
	err = e.followOwned(ctx, uid, func(v *view) (bool, error) {
		if v == nil {
			return true, nil
		}
		next = v.observed.Newest(ended.Name)
		if next != nil && next.Attempt > ended.Attempt && next.State != status.Registered {
			return true, nil
		}
		if v.restarts(ended.Name) {
			return false, nil
		}
		next = nil
		return true, nil
	})
	return next, err
}

// restarts says whether a container is to be started, or to be started again.
func (v *view) restarts(name string) bool {
	if v.pod.DeletionTimestamp != nil || v.over() {
		return false
	}
	member, _ := status.MemberOf(v.pod, name)
	newest := v.observed.Newest(name)
	return newest == nil || !newest.Dead() || v.observed.Restartable(v.pod, member, newest)
}

// ended returns a channel that is closed when an instance has ended.
func (e *Engine) ended(ctx context.Context, uid string, instance *status.Container) <-chan struct{} {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if !instance.Dead() {
			e.watchEnd(ctx, uid, instance)
		}
	}()
	return ended
}

// watchEnd returns when an instance has ended, or ctx is done.
func (e *Engine) watchEnd(ctx context.Context, uid string, instance *status.Container) {
	// Whatever keeps it from looking is tried again: it is not the container's end.
	for e.followOwned(ctx, uid, func(v *view) (bool, error) {
		if v == nil {
			return true, nil
		}
		newest := v.observed.Newest(instance.Name)
		return newest == nil || newest.Attempt != instance.Attempt || newest.Dead(), nil
	}) != nil && ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-time.After(lookAgain):
		}
	}
}
