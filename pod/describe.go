package pod

import (
	"context"

	v1 "k8s.io/api/core/v1"

	"podrun/pod/status"
)

// Description is what a person wants to know of a pod.
type Description struct {
	Pod    *v1.Pod // with its status
	Events []v1.Event
	// Troubles say why it is not well; Logs hold the last lines of the containers
	// that they name, by name.
	Troubles []status.Trouble
	Logs     map[string][]string
}

// Describe looks at a pod and, if it is not well, for the reason.
func (e *Engine) Describe(ctx context.Context, ref Ref) (*Description, error) {
	v, err := e.find(ctx, ref)
	if err != nil {
		return nil, err
	}
	if err := e.ensureSupervised(v); err != nil {
		return nil, err
	}
	events, err := e.Events(ctx, ref)
	if err != nil {
		return nil, err
	}
	d := &Description{Pod: v.pod, Events: events, Troubles: status.Troubles(v.pod, v.observed), Logs: map[string][]string{}}
	for _, t := range d.Troubles {
		if t.Container != "" && v.observed.Newest(t.Container) != nil {
			d.Logs[t.Container] = e.endOfLog(ctx, v, t.Container)
		}
	}
	return d, nil
}
