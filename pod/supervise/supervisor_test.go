package supervise

import (
	"testing"

	"podrun/container"
	"podrun/pod/plan"
)

// What happens to a container that is being created or started is no reason to
// look at it; what happens to any other one is.
func TestAwaits(t *testing.T) {
	t.Parallel()
	s := New("uid", Parts{})
	for _, action := range []plan.Action{
		{Kind: plan.CreateContainer, Container: "a", Attempt: 1},
		{Kind: plan.StartContainer, Container: "b"},
		{Kind: plan.StopContainer, Container: "c"},
		{Kind: plan.CreateSandbox},
	} {
		s.inFlight[action.Key()] = &flight{action: action}
	}
	for _, c := range []struct {
		name    string
		attempt int
		want    bool
	}{{"a", 1, true}, {"a", 0, false}, {"b", 0, true}, {"c", 0, false}, {"", 0, false}} {
		if got := s.awaits(container.ID("uid", c.name, c.attempt)); got != c.want {
			t.Errorf("%q #%d: %t", c.name, c.attempt, got)
		}
	}
}
