package pod

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"podrun/container/logs"
	"podrun/pod/status"
)

// FailedError says that a pod ended in phase Failed, or will not come to what was
// waited for.
type FailedError struct {
	Ref     Ref
	Message string // why, may be empty
	// Log holds the last lines of the container that is to blame, if one is.
	Container string
	Log       []string
}

func (e *FailedError) Error() string {
	if e.Message == "" {
		return fmt.Sprintf("pod %q has failed", e.Ref.Name)
	}
	return fmt.Sprintf("pod %q has failed: %s", e.Ref.Name, e.Message)
}

// lastLines is how many lines of a log come with a FailedError.
const lastLines = 10

// Wait returns when a pod has come to a goal. It fails with a FailedError as soon
// as that is certain not to happen, and when ctx is done with its cause.
func (e *Engine) Wait(ctx context.Context, ref Ref, goal status.Goal) error {
	record, err := e.record(ctx, ref)
	if errors.Is(err, ErrNotFound) && goal.Kind == status.GoalDeleted {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = e.await(ctx, ref, record.UID(), goal)
	return err
}

// await is Wait for one pod of that name, and returns it as it then is.
func (e *Engine) await(ctx context.Context, ref Ref, uid string, goal status.Goal) (*view, error) {
	var last *view
	var verdict status.Verdict
	err := e.followOwned(ctx, uid, func(v *view) (bool, error) {
		if v == nil && goal.Kind == status.GoalDeleted {
			return true, nil
		}
		if v == nil {
			return true, fmt.Errorf("wait for pod %q: it was removed meanwhile: %w", ref.Name, ErrNotFound)
		}
		last, verdict = v, goal.Judge(v.pod, v.observed)
		return verdict.Reached || verdict.Hopeless, nil
	})
	if err != nil || !verdict.Hopeless {
		return last, err
	}
	failed := &FailedError{Ref: ref, Message: verdict.Message, Container: verdict.Failed}
	if failed.Container != "" {
		failed.Log = e.endOfLog(ctx, last, failed.Container)
	}
	return last, failed
}

// endOfLog returns the last lines that a container wrote. What cannot be read is
// not worth another error.
func (e *Engine) endOfLog(ctx context.Context, v *view, name string) []string {
	var text bytes.Buffer
	if err := e.instanceLogs(ctx, v.sandbox.UID(), v.observed.Newest(name), logs.Options{Tail: lastLines}, &text, &text); err != nil || text.Len() == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(text.String(), "\n"), "\n")
}
