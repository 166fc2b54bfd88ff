package pod

import (
	"context"
	"errors"
	"io"
	"slices"

	"golang.org/x/sync/errgroup"
	v1 "k8s.io/api/core/v1"
	podutil "k8s.io/kubernetes/pkg/api/v1/pod"

	"podrun/container/logs"
	"podrun/pod/status"
)

// Stream writes what the containers of pods print, ephemeral ones aside, from
// their first start on and through their restarts, until the pods have ended or
// are gone. When there are several containers, each line begins with the name of
// the one it is from.
func (e *Engine) Stream(ctx context.Context, pods []*v1.Pod, stdout, stderr io.Writer) error {
	merger := logs.NewMerger(stdout, stderr)
	group, ctx := errgroup.WithContext(ctx)
	several := len(pods) > 1
	for _, pod := range pods {
		members := slices.DeleteFunc(status.Members(pod), func(m status.Member) bool { return m.Role == status.Ephemeral })
		for _, m := range members {
			options := LogOptions{Options: logs.Options{Follow: true, Tail: -1}}
			switch {
			case several:
				options.Prefix = pod.Name + "/" + m.Name + " | "
			case len(members) > 1:
				options.Prefix = m.Name + " | "
			}
			group.Go(func() error {
				out, err, flush := merger.Writers()
				// What comes next of one that nothing has run of is its first instance.
				none := &status.Container{Name: m.Name, Attempt: -1}
				return errors.Join(e.instancesLogs(ctx, string(pod.UID), none, options, out, err), flush())
			})
		}
	}
	return group.Wait()
}

// Outcome is how a pod has ended.
type Outcome struct {
	Phase v1.PodPhase
	// ExitCode is that of the first container, in the order of the manifest, that
	// failed; 0 when none has.
	ExitCode int
}

// Ended waits until a pod has ended, and says how.
func (e *Engine) Ended(ctx context.Context, pod *v1.Pod) (outcome Outcome, err error) {
	err = e.followOwned(ctx, string(pod.UID), func(v *view) (bool, error) {
		if v == nil {
			return true, ErrNotFound
		}
		if !podutil.IsPodPhaseTerminal(v.pod.Status.Phase) {
			return false, nil
		}
		outcome.Phase = v.pod.Status.Phase
		outcome.ExitCode, _ = status.ExitCode(v.pod, v.observed)
		return true, nil
	})
	return outcome, err
}
