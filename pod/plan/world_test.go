package plan

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"

	"podrun/pod/status"
)

// world is a small simulation of what the actions act on. Time jumps from one
// happening to the next.
type world struct {
	*testing.T
	rand  *rand.Rand
	pod   *v1.Pod
	obs   status.Observed
	work  Work
	now   time.Time
	done  map[Key]time.Time // when an action in flight ends
	gone  map[Key]bool      // cancelled
	exits map[string]time.Time
	wild  bool // things die and fail
	log   []string
	ran   map[string]int // starts by container
}

func newWorld(t *testing.T, seed uint64) *world {
	r := rand.New(rand.NewPCG(seed, 7))
	policies := []v1.RestartPolicy{v1.RestartPolicyAlways, v1.RestartPolicyOnFailure, v1.RestartPolicyNever}
	names := [][]string{{"a"}, {"a", "b"}, {"a", "b=httpd", "c"}}
	pod := newPod(policies[r.IntN(3)], names[r.IntN(3)]...)
	return &world{
		T: t, rand: r, pod: pod, now: noon, wild: true,
		obs:  status.Observed{Created: noon, Failures: map[string]status.Failure{}},
		work: Work{InFlight: map[Key]Action{}, Images: map[status.Image]time.Time{}},
		done: map[Key]time.Time{}, gone: map[Key]bool{}, exits: map[string]time.Time{},
		ran: map[string]int{},
	}
}

func (w *world) chance(percent int) bool { return w.rand.IntN(100) < percent }

func (w *world) within(limit time.Duration) time.Duration {
	return time.Duration(w.rand.Int64N(int64(limit))) + 1
}

func (w *world) fail(format string, args ...any) {
	w.Helper()
	tail := w.log[max(0, len(w.log)-40):]
	w.Fatalf("%s\n%s", fmt.Sprintf(format, args...), strings.Join(tail, "\n"))
}

func (w *world) note(format string, args ...any) {
	w.log = append(w.log, w.now.Format("15:04:05.000 ")+fmt.Sprintf(format, args...))
}

// step asks for the plan, sets it off and moves on to the next happening. It
// says whether there is one.
func (w *world) step() (End, bool) {
	plan := Next(w.pod, w.obs, w.work, w.now)
	for _, key := range plan.Cancel {
		if _, ok := w.work.InFlight[key]; !ok {
			w.fail("cancelled what is not in flight: %v", key)
		}
		w.gone[key] = true
		w.done[key] = w.now.Add(w.within(10 * time.Millisecond))
	}
	for _, a := range plan.Actions {
		w.note("%s", a)
		w.check(a)
		w.begin(a)
	}
	if plan.End != Going && (len(plan.Actions) > 0 || len(w.work.InFlight) > 0) {
		w.fail("%s, but there is something to do", plan.End)
	}
	if plan.End != Going {
		return plan.End, false
	}
	return Going, w.advance(plan.Wake)
}

func (w *world) begin(a Action) {
	end := w.now.Add(w.within(200 * time.Millisecond))
	if a.Kind == StopContainer {
		w.instance(a).Replaced = a.Replace
		end = a.Deadline // some ignore the signal
		if a.Deadline.IsZero() || w.chance(60) {
			end = w.now.Add(w.within(time.Second))
		}
	}
	w.work.InFlight[a.Key()] = a
	w.done[a.Key()] = end
}

// advance goes to the next happening and lets it happen.
func (w *world) advance(wake time.Time) bool {
	next, what := wake, func() {}
	sooner := func(at time.Time, do func()) {
		if next.IsZero() || at.Before(next) {
			next, what = at, do
		}
	}
	for _, key := range w.keys() {
		sooner(w.done[key], func() { w.end(w.work.InFlight[key]) })
	}
	for _, c := range w.obs.Containers {
		if end, ok := w.exits[c.Name]; ok && c.State == status.Running {
			sooner(end, func() { w.exit(c.Name, c.Attempt, w.exitCode()) })
		}
	}
	if next.IsZero() {
		return false
	}
	if next.After(w.now) {
		w.now = next
	}
	what()
	if w.wild && w.chance(2) && (w.obs.Sandbox.State == status.SandboxReady || w.obs.Sandbox.State == status.SandboxCreated) {
		w.note("-- pause dies")
		w.obs.Sandbox.State, w.obs.Sandbox.Since = status.SandboxExited, w.now
	}
	return true
}

func (w *world) keys() []Key {
	var keys []Key
	for key := range w.work.InFlight {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, compareKeys)
	return keys
}

func (w *world) exitCode() int32 {
	if w.wild {
		return int32(w.rand.IntN(2))
	}
	return 0
}

func (w *world) instance(a Action) *status.Container {
	for i := range w.obs.Containers {
		if c := &w.obs.Containers[i]; c.Name == a.Container && c.Attempt == a.Attempt {
			return c
		}
	}
	w.fail("there is no %s#%d", a.Container, a.Attempt)
	return nil
}

func (w *world) exit(name string, attempt int, code int32) {
	c := w.instance(Action{Container: name, Attempt: attempt})
	c.State, c.ExitCode, c.FinishedAt = status.Ended, code, w.now
	w.note("-- %s#%d ends with %d", name, attempt, code)
}

// end lets an action in flight end, well or not.
func (w *world) end(a Action) {
	key := a.Key()
	cancelled := w.gone[key]
	delete(w.work.InFlight, key)
	delete(w.done, key)
	delete(w.gone, key)
	switch {
	case cancelled && w.chance(50):
		w.note("-- cancelled: %s %s", a.Kind, a.Container)
	case w.wild && w.chance(10):
		w.note("-- failed: %s %s", a.Kind, a.Container)
		Failed(w.obs.Failures, a, "", "no luck", w.now)
	case w.effect(a):
		Succeeded(w.obs.Failures, a)
	default:
		Failed(w.obs.Failures, a, "", "its sandbox is gone", w.now)
	}
}

// effect does what an action is to do, if the world lets it.
func (w *world) effect(a Action) bool {
	sandbox := &w.obs.Sandbox
	switch a.Kind {
	case EnsureImage:
		w.work.Images[a.Image] = w.now
	case CreateSandbox:
		return w.makeSandbox(a)
	case CreateContainer:
		if sandbox.State != status.SandboxCreated && sandbox.State != status.SandboxReady {
			return false
		}
		w.forget(a)
		w.obs.Containers = append(w.obs.Containers, status.Container{
			Name: a.Container, Attempt: a.Attempt, State: status.Created, CreatedAt: w.now, Backoff: a.Backoff})
	case StartContainer:
		c := w.instance(a)
		c.State, c.StartedAt = status.Running, w.now
		w.ran[a.Container]++
		delete(w.exits, a.Container)
		if w.wild || w.pod.Spec.RestartPolicy != v1.RestartPolicyAlways {
			w.exits[a.Container] = w.now.Add(w.within(time.Minute))
		}
	case StopContainer:
		if w.instance(a).State == status.Running {
			w.exit(a.Container, a.Attempt, 137)
		}
	case RecordExit:
		w.instance(a).State = status.Exited
	case RemoveContainer:
		w.forget(a)
	case StopSandbox:
		sandbox.State = status.SandboxStopped
	case RemovePod:
		sandbox.State, w.obs.Containers = status.SandboxRemoved, nil
	}
	return true
}

// makeSandbox goes on in two steps: pause, then the network.
func (w *world) makeSandbox(a Action) bool {
	sandbox := &w.obs.Sandbox
	switch {
	case sandbox.State == status.SandboxExited && sandbox.Attempt == a.Attempt:
		return false
	case sandbox.State != status.SandboxCreated:
		*sandbox = status.Sandbox{State: status.SandboxCreated, Attempt: a.Attempt, StartedAt: w.now, Since: w.now}
		w.begin(a)
	default:
		sandbox.State, sandbox.Since = status.SandboxReady, w.now
	}
	return true
}

func (w *world) forget(a Action) {
	w.obs.Containers = slices.DeleteFunc(w.obs.Containers, func(c status.Container) bool {
		return c.Name == a.Container && c.Attempt == a.Attempt
	})
}

// check says whether an action may be done in the world as it is.
func (w *world) check(a Action) {
	w.Helper()
	must := func(ok bool, rule string) {
		w.Helper()
		if !ok {
			w.fail("%s\nbroke: %s", a, rule)
		}
	}
	state := w.obs.Sandbox.State
	current, flying := w.work.InFlight[a.Key()]
	shorter := a.Kind == StopContainer && (a.Deadline.IsZero() || a.Deadline.Before(current.Deadline))
	must(!flying || shorter, "an action is in flight once")
	switch a.Kind {
	case EnsureImage, CreateSandbox, CreateContainer, StartContainer:
		must(w.pod.DeletionTimestamp == nil, "nothing is made of a deleted pod")
		must(state != status.SandboxStopped, "nothing is made of an ended pod")
	}
	switch a.Kind {
	case CreateSandbox:
		must(!w.any(status.Running, status.Ended) || a.Attempt == w.obs.Sandbox.Attempt, "a new sandbox finds no process")
		must(!w.flies(CreateContainer, StartContainer, StopContainer) || a.Attempt == w.obs.Sandbox.Attempt, "a new sandbox finds nothing being done")
	case CreateContainer:
		w.checkCreate(a, must)
	case StartContainer:
		must(state == status.SandboxReady, "started in a ready sandbox")
		must(w.instance(a).State == status.Created, "started when created")
		must(!w.instance(a).CreatedAt.Before(w.obs.Sandbox.StartedAt), "started in the sandbox that it was made in")
		must(w.pod.Spec.RestartPolicy != v1.RestartPolicyNever || w.ran[a.Container] == 0, "runs once under Never")
		for i := range w.pod.Spec.Containers {
			spec := &w.pod.Spec.Containers[i]
			if spec.Name == a.Container {
				break
			}
			_, failed := status.ContainerFailure(w.pod, &w.obs, spec)
			must(w.ran[spec.Name] > 0 || failed, "started in order")
		}
	case StopContainer:
		must(w.instance(a).State == status.Running, "only what runs is stopped")
	case RecordExit:
		must(w.instance(a).State == status.Ended, "only ends are recorded")
	case RemoveContainer:
		must(!slices.Contains([]status.ContainerState{status.Running, status.Ended}, w.instance(a).State), "nothing that runs is removed")
	case StopSandbox:
		must(!w.any(status.Running), "the sandbox outlives its containers")
		must(!w.flies(CreateSandbox, CreateContainer, StartContainer), "nothing is being made in a sandbox that is stopped")
	case RemovePod:
		must(len(w.work.InFlight) == 0 && !w.any(status.Running), "removed when all is quiet")
		must(w.pod.DeletionTimestamp != nil, "only what is deleted is removed")
	}
}

func (w *world) checkCreate(a Action, must func(bool, string)) {
	w.Helper()
	must(w.obs.Sandbox.State == status.SandboxCreated || w.obs.Sandbox.State == status.SandboxReady, "created when pause runs")
	for _, c := range w.obs.Instances(a.Container) {
		must(c.State == status.Exited, "one instance at a time")
	}
	if last := w.obs.Newest(a.Container); last != nil {
		must(a.Attempt == last.Attempt+1, "attempts are counted")
		must(last.Replaced || w.pod.Spec.RestartPolicy == v1.RestartPolicyAlways || last.ExitCode != 0, "not restarted after success")
		must(!w.now.Before(last.FinishedAt.Add(last.Backoff)), "the back-off is kept")
	}
	for i := range w.pod.Spec.Containers {
		if spec := &w.pod.Spec.Containers[i]; spec.Name == a.Container {
			_, ok := w.work.Images[status.ImageOf(spec)]
			must(ok, "created from an image that is there")
		}
	}
}

func (w *world) any(states ...status.ContainerState) bool {
	return slices.ContainsFunc(w.obs.Containers, func(c status.Container) bool { return slices.Contains(states, c.State) })
}

func (w *world) flies(kinds ...Kind) bool {
	return slices.ContainsFunc(w.keys(), func(k Key) bool { return slices.Contains(kinds, k.Kind) })
}

// run goes on until the pod ends or nothing happens any more.
func (w *world) run(steps int) End {
	w.Helper()
	for range steps {
		end, more := w.step()
		if !more {
			return end
		}
	}
	return Going
}

// TestWorld lets pods live in a world where everything fails and dies, then
// calms the world, and looks whether each comes to its right end.
func TestWorld(t *testing.T) {
	t.Parallel()
	for seed := range uint64(1500) {
		w := newWorld(t, seed)
		end := w.run(w.rand.IntN(300))
		w.wild = false
		if w.chance(40) {
			w.note("-- deleted")
			grace := w.rand.Int64N(30)
			Delete(w.pod, &grace, w.now)
			if w.run(w.rand.IntN(6)); w.chance(50) {
				w.note("-- deleted by force")
				Delete(w.pod, new(int64), w.now)
			}
			if end = w.run(1000); end != Removed {
				w.fail("seed %d: deleted pod is %q", seed, end)
			}
			continue
		}
		if end == Going {
			w.exits = map[string]time.Time{}
			for _, c := range w.obs.Containers {
				if w.pod.Spec.RestartPolicy != v1.RestartPolicyAlways {
					w.exits[c.Name] = w.now.Add(time.Second)
				}
			}
			end = w.run(2000)
		}
		w.settled(seed, end)
	}
}

// settled checks the state that a pod has come to in a calm world.
func (w *world) settled(seed uint64, end End) {
	w.Helper()
	s := status.Of(w.pod, w.obs, w.now)
	if end == Finished {
		if s.Phase != v1.PodSucceeded && s.Phase != v1.PodFailed {
			w.fail("seed %d: finished in phase %s", seed, s.Phase)
		}
		if w.pod.Spec.RestartPolicy == v1.RestartPolicyAlways || w.pod.Spec.RestartPolicy == v1.RestartPolicyOnFailure && s.Phase != v1.PodSucceeded {
			w.fail("seed %d: %s ended as %s", seed, w.pod.Spec.RestartPolicy, s.Phase)
		}
		return
	}
	if end != Going || w.pod.Spec.RestartPolicy != v1.RestartPolicyAlways || s.Phase != v1.PodRunning || !status.Started(w.pod, w.obs) {
		w.fail("seed %d: %s came to %q in phase %s", seed, w.pod.Spec.RestartPolicy, end, s.Phase)
	}
	for _, c := range s.ContainerStatuses {
		if !c.Ready {
			w.fail("seed %d: %s is not ready: %+v", seed, c.Name, c.State)
		}
	}
}
