package status

import (
	"testing"

	v1 "k8s.io/api/core/v1"
)

func TestParseGoal(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Goal{
		"started":                      {Kind: GoalStarted},
		"ready":                        {Kind: GoalReady},
		"completed":                    {Kind: GoalCompleted},
		"deleted":                      {Kind: GoalDeleted},
		"condition=Ready":              {GoalCondition, "Ready", v1.ConditionTrue},
		"condition=Initialized=false":  {GoalCondition, "Initialized", v1.ConditionFalse},
		"condition=PodScheduled=True":  {GoalCondition, "PodScheduled", v1.ConditionTrue},
		"condition=Ready=unknown":      {GoalCondition, "Ready", v1.ConditionUnknown},
		"":                             {},
		"up":                           {},
		"condition":                    {},
		"condition=":                   {},
		"condition==True":              {},
		"condition=Ready=":             {},
		"condition=Ready=True=True":    {},
		"condition=Ready=perhaps":      {},
		"jsonpath={.status.phase}=Run": {},
	} {
		got, err := ParseGoal(text)
		if got != want || (err == nil) != (want != Goal{}) {
			t.Errorf("%q: %+v, %v; want %+v", text, got, err, want)
		}
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	pod := newPod(v1.RestartPolicyNever, "a", "b")
	pod.Spec.InitContainers = newPod("", "s").Spec.Containers
	pod.Spec.InitContainers[0].RestartPolicy = new(v1.ContainerRestartPolicyAlways)
	running := func(name string) Container { return Container{Name: name, State: Running} }
	ended := func(name string, code int32) Container { return Container{Name: name, State: Exited, ExitCode: code} }
	ready := []v1.PodCondition{{Type: v1.PodReady, Status: v1.ConditionTrue}}
	for name, test := range map[string]struct {
		goal       GoalKind
		phase      v1.PodPhase
		conditions []v1.PodCondition
		have       []Container
		failures   map[string]Failure
		want       Verdict
	}{
		"started":        {GoalStarted, v1.PodRunning, nil, []Container{running("a"), ended("b", 0)}, nil, Verdict{Reached: true}},
		"not started":    {GoalStarted, v1.PodPending, nil, []Container{running("a")}, nil, Verdict{}},
		"ready":          {GoalReady, v1.PodRunning, ready, nil, nil, Verdict{Reached: true}},
		"not ready":      {GoalReady, v1.PodRunning, nil, nil, nil, Verdict{}},
		"never ready":    {GoalReady, v1.PodSucceeded, nil, nil, nil, Verdict{Hopeless: true, Message: "it has succeeded already"}},
		"up":             {GoalUp, v1.PodSucceeded, nil, nil, nil, Verdict{Reached: true}},
		"completed":      {GoalCompleted, v1.PodSucceeded, nil, nil, nil, Verdict{Reached: true}},
		"runs":           {GoalCompleted, v1.PodRunning, ready, nil, nil, Verdict{}},
		"not deleted":    {GoalDeleted, v1.PodFailed, nil, []Container{ended("a", 1)}, nil, Verdict{}},
		"failed, by b":   {GoalCompleted, v1.PodFailed, nil, []Container{ended("a", 0), ended("b", 7)}, nil, Verdict{Hopeless: true, Message: `container "b": Error, exit code 7`, Failed: "b"}},
		"started before": {GoalStarted, v1.PodFailed, nil, []Container{ended("a", 0), ended("b", 7)}, nil, Verdict{Reached: true}},
		"no image": {GoalReady, v1.PodPending, nil, nil, map[string]Failure{"a": {Reason: ReasonErrImagePull, Message: "not found"}},
			Verdict{Hopeless: true, Message: "ErrImagePull: not found"}},
		"no image here": {GoalUp, v1.PodPending, nil, nil, map[string]Failure{"a": {Reason: ReasonErrImageNeverPull, Message: "absent"}},
			Verdict{Hopeless: true, Message: "ErrImageNeverPull: absent"}},
		"no name of an image": {GoalStarted, v1.PodPending, nil, nil, map[string]Failure{"b": {Reason: ReasonInvalidImageName, Message: "b:c:d"}},
			Verdict{Hopeless: true, Message: "InvalidImageName: b:c:d"}},
		"no registry at present": {GoalReady, v1.PodPending, nil, nil, map[string]Failure{"a": {Reason: ReasonRegistryUnavailable, Message: "busy"}}, Verdict{}},
		"failed, not by its sidecar": {GoalReady, v1.PodFailed, nil, []Container{ended("s", 9), ended("a", 0), ended("b", 7)}, nil,
			Verdict{Hopeless: true, Message: `container "b": Error, exit code 7`, Failed: "b"}},
		"no ConfigMap yet": {GoalReady, v1.PodPending, nil, nil, map[string]Failure{"a": {Reason: ReasonCreateContainerConfig, Message: "not found"}}, Verdict{}},
	} {
		p := pod.DeepCopy()
		p.Status.Phase, p.Status.Conditions = test.phase, test.conditions
		obs := Observed{Containers: test.have, Failures: test.failures}
		if got := (Goal{Kind: test.goal}).Judge(p, obs); got != test.want {
			t.Errorf("%s: %+v, want %+v", name, got, test.want)
		}
	}
}
