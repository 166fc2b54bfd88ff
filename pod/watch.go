package pod

import (
	"context"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"
)

// Watch tells of the pods that wanted accepts, as they are with their status: of
// all of them at first, and then of those that are new or have changed, and of
// those that are gone, as they last were. It goes on until ctx ends or tell fails.
// Pods whose supervisor is gone are given a new one.
func (e *Engine) Watch(ctx context.Context, wanted func(*v1.Pod) bool, tell func(changed, gone []v1.Pod) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	events := e.containers.Watch(ctx)
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	var seen map[types.UID]v1.Pod
	for {
		all, err := e.List(ctx)
		if err != nil {
			return err
		}
		first := seen == nil
		changed, gone := compare(&seen, all, wanted)
		if first || len(changed)+len(gone) > 0 {
			if err := tell(changed, gone); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-events:
		case <-tick.C:
		}
	}
}

// compare returns the pods that are not as they were seen, and those that are not
// there any more, and makes what there is what was seen.
func compare(seen *map[types.UID]v1.Pod, all []v1.Pod, wanted func(*v1.Pod) bool) (changed, gone []v1.Pod) {
	now := map[types.UID]v1.Pod{}
	for i := range all {
		pod := all[i]
		if !wanted(&pod) {
			continue
		}
		now[pod.UID] = pod
		if before, ok := (*seen)[pod.UID]; !ok || !equality.Semantic.DeepEqual(before, pod) {
			changed = append(changed, pod)
		}
	}
	for uid, before := range *seen {
		if _, ok := now[uid]; !ok {
			gone = append(gone, before)
		}
	}
	*seen = now
	return changed, gone
}
