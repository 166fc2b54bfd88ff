package pod

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/containerd/errdefs"
	v1 "k8s.io/api/core/v1"

	"podrun/pod/manifest"
	"podrun/pod/objects"
	"podrun/sandbox"
)

// Change is what Up does with an object.
type Change string

// The changes that Up makes.
const (
	Created    Change = "created"
	Configured Change = "configured"
	Unchanged  Change = "unchanged"
	Replaced   Change = "replaced"
)

// Foreseen is an object, such as "pod/web", and what Up would do with it.
type Foreseen struct {
	Name   string
	Change Change
}

// DiffersError says that an object exists and that the manifest changes of it
// what cannot be changed.
type DiffersError struct {
	Name   string // pod/web
	Fields []string
}

func (e *DiffersError) Error() string {
	return fmt.Sprintf("%s exists, and these fields cannot be changed: %s", e.Name, strings.Join(e.Fields, ", "))
}

// podName is what a pod is called among all objects.
func podName(pod *v1.Pod) string { return "pod/" + pod.Name }

// Foresee returns what Up would do, in its order, or why it would refuse to,
// and does nothing. Without an Engine there are no pods.
func Foresee(ctx context.Context, config Config, e *Engine, wish *manifest.Manifest, options UpOptions) ([]Foreseen, error) {
	var records []*sandbox.Sandbox
	if e != nil {
		var err error
		if records, err = e.sandboxes.List(ctx); err != nil {
			return nil, err
		}
	}
	list, err := foresee(records, objects.New(config.Root), wish, options)
	if err != nil {
		return list, err
	}
	for i, change := range list[len(list)-len(wish.Pods):] {
		if change.Change == Created {
			err = errors.Join(err, checkHostPorts(records, wish.Pods[i]))
		}
	}
	return list, err
}

// foresee compares a wish with what there is. The error is all that is wrong
// with it.
func foresee(records []*sandbox.Sandbox, store *objects.Store, wish *manifest.Manifest, options UpOptions) ([]Foreseen, error) {
	var list []Foreseen
	var errs []error
	for _, object := range objectsOf(wish) {
		_, change, err := changeOf(store, object)
		list = append(list, Foreseen{objects.RefOf(object).String(), change})
		errs = append(errs, err)
	}
	for _, pod := range wish.Pods {
		change, err := changeAmong(records, pod)
		if err != nil && options.Replace {
			change, err = Replaced, nil
		}
		list = append(list, Foreseen{podName(pod), change})
		errs = append(errs, err)
	}
	var absent manifest.Problems
	if !options.Detach {
		absent = missing(store, wish)
	}
	switch err := errors.Join(errs...); {
	case len(absent) == 0:
		return list, err
	case err == nil:
		return list, absent
	default:
		return list, errors.Join(err, absent)
	}
}

// missing reports the objects that pods need and that there are nowhere.
func missing(store *objects.Store, wish *manifest.Manifest) manifest.Problems {
	return wish.Missing(func(ref manifest.Reference) bool {
		_, err := store.Get(refOf(ref))
		return err == nil
	})
}

func changeAmong(records []*sandbox.Sandbox, pod *v1.Pod) (Change, error) {
	existing := recordOf(records, RefOf(pod))
	if existing == nil || existing.Pod.DeletionTimestamp != nil {
		return Created, nil
	}
	change, err := changeOfPod(existing.Pod, pod)
	if change == Unchanged && kept(existing) {
		change = Configured // it is started again
	}
	return change, err
}

// changeOfPod is what is to be done with a pod that exists; a DiffersError
// when it cannot be.
func changeOfPod(existing, wanted *v1.Pod) (Change, error) {
	wanted = succeeding(existing, wanted)
	if len(manifest.Diff(existing, wanted)) == 0 {
		return Unchanged, nil
	}
	if fields := manifest.Fixed(existing, wanted); len(fields) > 0 {
		return "", &DiffersError{Name: podName(wanted), Fields: fields}
	}
	return Configured, nil
}

// succeeding is a pod as it takes the place of one that exists: with the
// ephemeral containers of that, which no manifest has.
func succeeding(existing, wanted *v1.Pod) *v1.Pod {
	changed := wanted.DeepCopy()
	changed.Spec.EphemeralContainers = existing.Spec.EphemeralContainers
	return changed
}

// changeOf is what is to be done with an object; a DiffersError when it cannot
// be. It returns the one that exists, too, nil for none.
func changeOf(store *objects.Store, wanted objects.Object) (objects.Object, Change, error) {
	ref := objects.RefOf(wanted)
	existing, err := store.Get(ref)
	switch {
	case errdefs.IsNotFound(err):
		return nil, Created, nil
	case err != nil:
		return nil, "", err
	case objects.Equal(existing, wanted):
		return existing, Unchanged, nil
	}
	if fields := manifest.Fixed(existing, wanted); len(fields) > 0 {
		return existing, "", &DiffersError{Name: ref.String(), Fields: fields}
	}
	return existing, Configured, nil
}
