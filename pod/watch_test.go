package pod

import (
	"testing"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// What is told of is what is new, has changed or is gone, of the pods that are
// wanted.
func TestCompare(t *testing.T) {
	t.Parallel()
	pod := func(uid, phase string) v1.Pod {
		return v1.Pod{ObjectMeta: metav1.ObjectMeta{Name: uid, UID: types.UID(uid)}, Status: v1.PodStatus{Phase: v1.PodPhase(phase)}}
	}
	var seen map[types.UID]v1.Pod
	for i, step := range []struct {
		all           []v1.Pod
		changed, gone string
	}{
		{nil, "", ""},
		{[]v1.Pod{pod("a", "Pending"), pod("hidden", "Pending")}, "a", ""},
		{[]v1.Pod{pod("a", "Pending"), pod("hidden", "Running")}, "", ""},
		{[]v1.Pod{pod("a", "Running"), pod("b", "Pending")}, "ab", ""},
		{[]v1.Pod{pod("b", "Pending")}, "", "a"},
		{[]v1.Pod{pod("b", "Pending")}, "", ""},
	} {
		changed, gone := compare(&seen, step.all, func(p *v1.Pod) bool { return p.Name != "hidden" })
		if names(changed) != step.changed || names(gone) != step.gone {
			t.Errorf("step %d: changed %q, gone %q, want %q and %q", i, names(changed), names(gone), step.changed, step.gone)
		}
	}
}

func names(pods []v1.Pod) (all string) {
	for _, p := range pods {
		all += p.Name
	}
	return all
}
