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
	for _, c := range pod.Spec.Containers {
		names = append(names, c.Name)
	}
	if !slices.Contains(names, name) {
		return "", fmt.Errorf("%w: pod %q has no container %q; it has %s", ErrNoContainer, pod.Name, name, strings.Join(names, ", "))
	}
	return name, nil
}

// Logs writes what the newest instance of a container has printed to stdout
// and stderr. With options.Follow it goes on until that instance has ended.
func (e *Engine) Logs(ctx context.Context, ref Ref, name string, options logs.Options, stdout, stderr io.Writer) error {
	v, err := e.find(ctx, ref)
	if err != nil {
		return err
	}
	if name, err = containerName(v.pod, name); err != nil {
		return err
	}
	if err := e.ensureSupervised(v); err != nil {
		return err
	}
	newest := v.observed.Newest(name)
	if newest == nil {
		return fmt.Errorf("read logs of pod %q: container %q has not started yet", ref.Name, name)
	}
	files := supervise.LogFiles(e.sandboxes, v.sandbox.UID(), name, newest.Attempt)
	// The last output of one that has ended may still be on its way.
	options.Follow = options.Follow || newest.Dead()
	var ended <-chan struct{}
	if options.Follow {
		ended = e.ended(ctx, v.sandbox.UID(), newest)
	}
	err = files.Read(ctx, stdout, stderr, options, ended)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // nothing was printed yet
	}
	return err
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
	for ctx.Err() == nil {
		err := e.follow(ctx, uid, func(v *view) (bool, error) {
			if v == nil {
				return true, nil
			}
			newest := v.observed.Newest(instance.Name)
			return newest == nil || newest.Attempt != instance.Attempt || newest.Dead(), nil
		})
		if err == nil {
			return
		}
		// Nobody owns it, or containerd is away: neither is the container's end.
		if v, err := e.lookOrGone(ctx, uid); err == nil && v != nil {
			_ = e.ensureSupervised(v)
		}
		select {
		case <-ctx.Done():
		case <-time.After(lookAgain):
		}
	}
}
