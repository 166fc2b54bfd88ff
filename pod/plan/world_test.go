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
	ran   map[string]int       // starts by container, in the present run
	up    map[string]time.Time // when each container was up last, its hook included
	// debugged counts the ephemeral containers that there ever were.
	debugged int
	once     map[string]bool // those that were started
}

func newWorld(t *testing.T, seed uint64) *world {
	r := rand.New(rand.NewPCG(seed, 7))
	w := &world{
		T: t, rand: r, now: noon, wild: true,
		obs:  status.Observed{Created: noon, Failures: map[string]status.Failure{}, Probes: map[string]status.Probes{}},
		work: Work{InFlight: map[Key]Action{}, Images: map[status.Image]time.Time{}},
		done: map[Key]time.Time{}, gone: map[Key]bool{}, exits: map[string]time.Time{},
		ran: map[string]int{}, up: map[string]time.Time{}, once: map[string]bool{},
	}
	w.pod = w.newPod()
	return w
}

// newPod makes a pod of some of everything that a plan looks at.
func (w *world) newPod() *v1.Pod {
	policies := []v1.RestartPolicy{v1.RestartPolicyAlways, v1.RestartPolicyOnFailure, v1.RestartPolicyNever}
	names := [][]string{{"a"}, {"a", "b"}, {"a", "b=httpd", "c"}}
	pod := newPod(policies[w.rand.IntN(3)], names[w.rand.IntN(3)]...)
	for i := range w.rand.IntN(4) {
		init := newPod("", fmt.Sprintf("i%d", i)).Spec.Containers[0]
		if w.chance(40) {
			init.RestartPolicy = new(v1.ContainerRestartPolicyAlways)
		}
		pod.Spec.InitContainers = append(pod.Spec.InitContainers, init)
	}
	for _, m := range status.Members(pod) {
		m.Lifecycle = &v1.Lifecycle{}
		if w.chance(20) && m.Role != status.Init {
			m.Lifecycle.PostStart = &v1.LifecycleHandler{}
		}
		if w.chance(20) && m.Role != status.Init {
			m.Lifecycle.PreStop = &v1.LifecycleHandler{}
		}
		for _, probe := range []**v1.Probe{&m.StartupProbe, &m.LivenessProbe, &m.ReadinessProbe} {
			if w.chance(15) && m.Role != status.Init {
				*probe = &v1.Probe{}
			}
		}
		if w.chance(15) && m.Role == status.App {
			m.RestartPolicy = new([]v1.ContainerRestartPolicy{"Always", "OnFailure", "Never"}[w.rand.IntN(3)])
			action := []v1.ContainerRestartRuleAction{"Restart", "RestartAllContainers"}[w.rand.IntN(2)]
			m.RestartPolicyRules = []v1.ContainerRestartRule{{Action: action, ExitCodes: &v1.ContainerRestartRuleOnExitCodes{Operator: "In", Values: []int32{42}}}}
		}
	}
	if w.chance(10) {
		pod.Spec.ActiveDeadlineSeconds = new(w.rand.Int64N(300) + 1)
	}
	return pod
}

func (w *world) chance(percent int) bool { return w.rand.IntN(100) < percent }

func (w *world) within(limit time.Duration) time.Duration {
	return time.Duration(w.rand.Int64N(int64(limit))) + 1
}

func (w *world) fail(format string, args ...any) {
	w.Helper()
	tail := w.log[max(0, len(w.log)-40):]
	for _, m := range status.Members(w.pod) {
		tail = append(tail, fmt.Sprintf("%s %s, hooks %v, policy %v %v: %+v", m.Role, m.Name, *m.Lifecycle, w.policy(m), m.RestartPolicyRules, w.obs.Newest(m.Name)))
	}
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
	if slices.ContainsFunc(plan.Actions, Action.Immediate) {
		return Going, true
	}
	return Going, w.advance(plan.Wake)
}

// debug gives the pod an ephemeral container, or takes one away from it.
func (w *world) debug() {
	list := &w.pod.Spec.EphemeralContainers
	if len(*list) > 0 && w.chance(30) {
		w.note("-- %s is taken away", (*list)[0].Name)
		*list = slices.Delete(*list, 0, 1)
		return
	}
	w.debugged++
	var c v1.EphemeralContainer
	c.Name, c.Image, c.Lifecycle = fmt.Sprintf("e%d", w.debugged), "debug:1", &v1.Lifecycle{}
	w.note("-- %s is added", c.Name)
	*list = append(*list, c)
}

func (w *world) begin(a Action) {
	end := w.now.Add(w.within(200 * time.Millisecond))
	switch a.Kind {
	case RestartAll:
		w.obs.RestartedAt, w.ran = w.now, map[string]int{}
		return
	case EndPod:
		w.obs.End = status.End{Reason: status.ReasonDeadlineExceeded, Message: a.Cause, At: w.now}
		return
	case StopContainer, BeginStop:
		c := w.instance(a)
		c.Replaced = a.Replace
		if c.StoppingAt.IsZero() {
			c.StoppingAt = w.now
		}
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
	for _, probe := range Probes(w.pod, w.obs) {
		w.checkProbe(probe)
		c := w.obs.Newest(probe.Container)
		if known, ok := w.obs.Probed(c, probe.Kind); !ok || w.wild || !known.Passed {
			sooner(w.now.Add(w.within(10*time.Second)), func() { w.probe(probe) })
		}
	}
	if next.IsZero() {
		return false
	}
	if next.After(w.now) {
		w.now = next
	}
	what()
	if w.wild && w.chance(3) {
		w.debug()
	}
	if w.wild && w.chance(2) && (w.obs.Sandbox.State == status.SandboxReady || w.obs.Sandbox.State == status.SandboxCreated) {
		w.note("-- pause dies")
		w.obs.Sandbox.State, w.obs.Sandbox.Since = status.SandboxExited, w.now
	}
	return true
}

// checkProbe checks that a probe may be performed.
func (w *world) checkProbe(probe Probe) {
	m, c := w.member(probe.Container), w.obs.Newest(probe.Container)
	up := w.obs.Up(m, c)
	switch {
	case c.State != status.Running || c.Attempt != probe.Attempt:
		w.fail("probes what does not run: %v", probe)
	case probe.Kind == status.Startup && up, probe.Kind != status.Startup && !up:
		w.fail("probes too late or too early: %v", probe)
	case probe.Kind != status.Readiness && (w.pod.DeletionTimestamp != nil || w.obs.End.Reason != ""):
		w.fail("probes the life of what ends: %v", probe)
	}
}

// probe lets a probe come to a result.
func (w *world) probe(probe Probe) {
	passed := !w.wild || w.chance(80)
	w.note("-- %s probe of %s#%d: %v", probe.Kind, probe.Container, probe.Attempt, passed)
	probes := w.obs.Probes[probe.Container]
	if probes.Attempt != probe.Attempt || probes.Results == nil {
		probes = status.Probes{Attempt: probe.Attempt, Results: map[status.ProbeKind]status.ProbeResult{}}
	}
	probes.Results[probe.Kind] = status.ProbeResult{Passed: passed, At: w.now}
	w.obs.Probes[probe.Container] = probes
	m := w.member(probe.Container)
	if w.obs.Up(m, w.obs.Newest(m.Name)) {
		w.up[m.Name] = w.now
	}
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
		return []int32{0, 0, 1, 1, 42}[w.rand.IntN(5)]
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
	case w.wild && w.chance(10) && a.Kind != BeginStop:
		w.note("-- failed: %s %s", a.Kind, a.Container)
		if a.Kind == PostStart {
			w.instance(a).PostStart = status.HookFailed
		}
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
		w.once[a.Container] = true
		delete(w.exits, a.Container)
		if m := w.member(a.Container); w.wild || w.ends(m) {
			w.exits[a.Container] = w.now.Add(w.within(time.Minute))
		}
		w.rise(a)
	case PostStart:
		w.instance(a).PostStart = status.HookDone
		w.rise(a)
	case BeginStop:
		w.instance(a).PreStopped = true
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

func (w *world) member(name string) status.Member {
	m, ok := status.MemberOf(w.pod, name)
	if !ok && strings.HasPrefix(name, "e") {
		return status.Member{Container: &v1.Container{Name: name, Lifecycle: &v1.Lifecycle{}}, Role: status.Ephemeral}
	}
	if !ok {
		w.fail("there is no container %s", name)
	}
	return m
}

// policy is the restart policy that counts for a container.
func (w *world) policy(m status.Member) v1.RestartPolicy {
	if m.RestartPolicy != nil {
		return v1.RestartPolicy(*m.RestartPolicy)
	}
	return w.pod.Spec.RestartPolicy
}

// ends says whether a container ends by itself in a calm world.
func (w *world) ends(m status.Member) bool {
	return m.Role != status.Ephemeral && (m.Role == status.Init || w.policy(m) != v1.RestartPolicyAlways)
}

// rise notes that a container is up, if it is.
func (w *world) rise(a Action) {
	if w.obs.Up(w.member(a.Container), w.instance(a)) {
		w.up[a.Container] = w.now
	}
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
	shorter := (a.Kind == StopContainer || a.Kind == BeginStop) && (a.Deadline.IsZero() || a.Deadline.Before(current.Deadline))
	must(!flying || shorter, "an action is in flight once")
	switch a.Kind {
	case EnsureImage, CreateSandbox, CreateContainer, StartContainer, PostStart, RestartAll, EndPod:
		must(w.pod.DeletionTimestamp == nil, "nothing is made of a deleted pod")
		must(state != status.SandboxStopped && w.obs.End.Reason == "", "nothing is made of an ended pod")
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
		w.checkOrder(a, must)
	case PostStart:
		must(w.instance(a).State == status.Running && w.instance(a).PostStart == status.HookPending, "a hook runs once")
	case BeginStop:
		must(w.instance(a).State == status.Running && !w.instance(a).PreStopped, "a hook runs once")
		must(a.Deadline.After(w.now), "a hook has some time")
	case StopContainer:
		must(w.instance(a).State == status.Running, "only what runs is stopped")
		w.checkGrace(a, must)
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
		m := w.member(a.Container)
		anew := last.Replaced || !w.obs.Current(last)
		must(anew || m.Role == status.Sidecar || last.ExitCode != 0 || m.Role == status.App && w.policy(m) == v1.RestartPolicyAlways, "not restarted after success")
		must(anew || w.policy(m) != v1.RestartPolicyNever || last.ExitCode == 42 && len(m.RestartPolicyRules) > 0, "runs once under Never")
		must(anew || !m.RestartsAll(last), "all begin anew, not one")
		anew = m.Role == status.Init && !w.obs.Current(last) || last.CreatedAt.Before(w.obs.RestartedAt)
		must(anew || !w.now.Before(last.FinishedAt.Add(last.Backoff)), "the back-off is kept")
	}
	m := w.member(a.Container)
	_, ok := w.work.Images[status.ImageOf(m.Container)]
	must(ok, "created from an image that is there")
	must(m.Role != status.Ephemeral || !w.once[m.Name], "an ephemeral container runs once")
	w.checkInits(a, must)
}

// checkInits checks that the init containers before one are through. A sidecar
// may be made again while others run.
func (w *world) checkInits(a Action, must func(bool, string)) {
	w.Helper()
	if w.member(a.Container).Role == status.Ephemeral {
		return // it waits for none
	}
	began := w.obs.Sandbox.StartedAt
	if w.obs.RestartedAt.After(began) {
		began = w.obs.RestartedAt
	}
	for _, m := range status.Members(w.pod) {
		if m.Name == a.Container {
			return
		}
		newest := w.obs.Newest(m.Name)
		switch m.Role {
		case status.Init:
			done := newest != nil && w.obs.Current(newest) && newest.State == status.Exited && newest.ExitCode == 0
			must(done, "init container "+m.Name+" is through")
		case status.Sidecar:
			must(!w.up[m.Name].Before(began) && !w.up[m.Name].IsZero(), "sidecar "+m.Name+" has started")
		}
	}
}

// checkOrder checks that the app containers before one were started, and that
// their hooks are through.
func (w *world) checkOrder(a Action, must func(bool, string)) {
	w.Helper()
	if w.member(a.Container).Role == status.Ephemeral {
		must(!w.once[a.Container], "an ephemeral container runs once")
		return
	}
	w.checkInits(a, must)
	must(w.policy(w.member(a.Container)) != v1.RestartPolicyNever || w.ran[a.Container] == 0 ||
		w.obs.Newest(a.Container).Attempt > 0, "runs once under Never")
	for _, m := range status.Members(w.pod) {
		if m.Name == a.Container {
			return
		}
		if m.Role != status.App {
			continue
		}
		newest := w.obs.Newest(m.Name)
		_, failed := status.ContainerFailure(w.pod, &w.obs, m.Container)
		over := newest != nil && newest.State == status.Exited && !w.obs.Restartable(w.pod, m, newest)
		waits := newest != nil && newest.State == status.Exited && newest.Backoff > 0
		must(w.ran[m.Name] > 0 || failed || over || waits, "started in order")
		hooking := newest != nil && newest.State == status.Running && m.Lifecycle.PostStart != nil && newest.PostStart == status.HookPending
		must(!hooking || failed, "the hook comes before the next start")
	}
}

// checkGrace checks what comes out of a container's grace before the signal.
func (w *world) checkGrace(a Action, must func(bool, string)) {
	w.Helper()
	if a.Deadline.IsZero() || a.Deadline.Sub(w.now) <= minGrace {
		return // it is used up
	}
	c, m := w.instance(a), w.member(a.Container)
	must(m.Lifecycle.PreStop == nil || c.PreStopped, "the hook comes before the signal")
	switch halt := w.obs.Halt; {
	case w.pod.DeletionTimestamp != nil:
		must(!a.Deadline.After(w.pod.DeletionTimestamp.Time), "the grace of a deletion")
	case halt != nil && halt.Grace > 0:
		must(!a.Deadline.After(halt.At.Add(time.Duration(halt.Grace)*time.Second)), "the grace of a stop")
	case !c.StoppingAt.IsZero():
		must(!a.Deadline.After(c.StoppingAt.Add(30*time.Second)), "the hook's time comes out of the grace")
	}
	later := false
	for _, other := range status.Members(w.pod) {
		newest := w.obs.Newest(other.Name)
		if later && other.Role != status.Init && other.Role != status.Ephemeral && newest != nil && newest.State == status.Running {
			must(m.Role != status.Sidecar || !w.ending(), "sidecars end last, in reverse order")
		}
		later = later || other.Name == m.Name
	}
}

// ending says whether the whole pod is being stopped.
func (w *world) ending() bool {
	return w.pod.DeletionTimestamp != nil || w.obs.End.Reason != "" || w.obs.Sandbox.State == status.SandboxExited
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
		if w.chance(20) {
			w.stopAndStart(seed)
			end = w.run(100)
		}
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
				if w.ends(w.member(c.Name)) {
					w.exits[c.Name] = w.now.Add(time.Second)
				}
			}
			end = w.run(2000)
		}
		w.settled(seed, end)
	}
}

// stopAndStart has the pod stopped, and then begin anew.
func (w *world) stopAndStart(seed uint64) {
	w.Helper()
	w.note("-- to be stopped")
	w.obs.Halt = &status.Halt{At: w.now, Grace: w.rand.Int64N(40) - 1}
	if end := w.run(2000); end != Finished || w.obs.Sandbox.State != status.SandboxStopped || w.any(status.Running, status.Ended) {
		w.fail("seed %d: stopped pod is %q, its sandbox %s", seed, end, w.obs.Sandbox.State)
	}
	w.now = w.now.Add(w.within(time.Minute))
	w.note("-- started again")
	w.obs.Halt, w.obs.End, w.obs.Failures = nil, status.End{}, map[string]status.Failure{}
	w.obs.Sandbox = status.Sandbox{Attempt: w.obs.Sandbox.Attempt + 1, StartedAt: w.now, Since: w.now}
	w.obs.RestartedAt = w.now
	w.ran, w.exits = map[string]int{}, map[string]time.Time{}
	if status.Started(w.pod, w.obs) {
		w.fail("seed %d: what ran before counts as started", seed)
	}
}

// settled checks the state that a pod has come to in a calm world.
func (w *world) settled(seed uint64, end End) {
	w.Helper()
	s := status.Of(w.pod, w.obs, w.now)
	if end == Finished {
		failed, _ := w.obs.FailedInit(w.pod)
		switch {
		case s.Phase != v1.PodSucceeded && s.Phase != v1.PodFailed:
			w.fail("seed %d: finished in phase %s", seed, s.Phase)
		case w.obs.End.Reason != "" || failed.Container != nil:
			if s.Phase != v1.PodFailed {
				w.fail("seed %d: ended by %v as %s", seed, w.obs.End, s.Phase)
			}
		case w.plain() && (w.pod.Spec.RestartPolicy == v1.RestartPolicyAlways || w.pod.Spec.RestartPolicy == v1.RestartPolicyOnFailure && s.Phase != v1.PodSucceeded):
			w.fail("seed %d: %s ended as %s", seed, w.pod.Spec.RestartPolicy, s.Phase)
		}
		if w.any(status.Running, status.Ended) {
			w.fail("seed %d: finished, and something runs", seed)
		}
		return
	}
	if w.pod.Spec.ActiveDeadlineSeconds != nil {
		w.fail("seed %d: outlives its deadline", seed)
	}
	_, _, blocked := status.Blocked(w.pod, w.obs) // by a hook that failed, and an end that is not followed by a restart
	if end != Going || w.plain() && w.pod.Spec.RestartPolicy != v1.RestartPolicyAlways || s.Phase != v1.PodRunning || !status.Started(w.pod, w.obs) && !blocked {
		w.fail("seed %d: %s came to %q in phase %s", seed, w.pod.Spec.RestartPolicy, end, s.Phase)
	}
	for _, c := range s.EphemeralContainerStatuses {
		if !w.once[c.Name] {
			w.fail("seed %d: %s was never started", seed, c.Name)
		}
	}
	for _, c := range w.obs.Containers {
		if _, has := status.MemberOf(w.pod, c.Name); !has {
			w.fail("seed %d: %s is still there", seed, c.Name)
		}
	}
	for _, c := range append(s.InitContainerStatuses, s.ContainerStatuses...) {
		m := w.member(c.Name)
		newest := w.obs.Newest(c.Name)
		if done := newest.State == status.Exited && !w.obs.Restartable(w.pod, m, newest); !c.Ready && !done {
			w.fail("seed %d: %s is not ready: %+v", seed, c.Name, c.State)
		}
	}
}

// plain says that the pod's restart policy counts for all of its containers.
func (w *world) plain() bool {
	return !slices.ContainsFunc(w.pod.Spec.Containers, func(c v1.Container) bool { return c.RestartPolicy != nil })
}
