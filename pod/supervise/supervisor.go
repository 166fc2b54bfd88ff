package supervise

import (
	"context"
	"log/slog"
	"reflect"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"k8s.io/utils/clock"

	"podrun/container"
	"podrun/container/image"
	"podrun/pod/event"
	"podrun/pod/objects"
	"podrun/pod/plan"
	"podrun/pod/status"
	"podrun/sandbox"
)

const (
	// lookAgain bounds how long an event that was missed can go unnoticed.
	lookAgain = 10 * time.Second
	// tryAgain is how long a world that cannot be observed is left alone.
	tryAgain = 500 * time.Millisecond
)

// Parts are what a supervisor works with.
type Parts struct {
	Sandboxes  *sandbox.Store
	Containers *container.Store
	Images     *image.Store
	Objects    *objects.Store
	// Revive starts a containerd that died again; may be nil.
	Revive func() error
	// Until ends Run when it says so of what was observed; may be nil.
	Until func(*sandbox.Sandbox, status.Observed) bool
	// Progress is told what is being done; may be nil.
	Progress func(Progress)
	Clock    clock.Clock
	Log      *slog.Logger
}

// Supervisor keeps one pod. All that it knows is owned by the goroutine of
// Run; actions send it what they found.
type Supervisor struct {
	Parts
	uid string

	sandbox  *sandbox.Sandbox // as last observed; its memory has no other writer
	inFlight map[plan.Key]*flight
	flying   int // actions that have not sent their result, those that gave way too
	images   map[status.Image]ensured
	copiers  map[string]*copier // by container ID
	probers  map[plan.Probe]context.CancelFunc
	probing  sync.WaitGroup  // the probers
	probed   chan probed     // what they send
	late     sync.WaitGroup  // the end of logs that an earlier owner left
	known    map[string]bool // the IDs of the pod's containers
	likely   []string        // the pause's, and those of containers that have not ended
	gone     bool            // there is no record of the pod any more
	volumes  refreshing
	trouble  string // why the pod could not be looked at the last time
	events   teller
	results  chan result
}

// flight is an action that is being performed.
type flight struct {
	action   plan.Action
	cancel   context.CancelFunc
	unwanted bool // it was called off; how it ends does not matter
}

func (f *flight) callOff() {
	f.unwanted = true
	f.cancel()
}

// ensured is an image that is there.
type ensured struct {
	image *image.Image
	at    time.Time
}

// result is what an action sends when it is done.
type result struct {
	flight *flight
	err    error
	image  *image.Image // of EnsureImage
	ips    []string     // of CreateSandbox
}

// New makes a supervisor of the pod with that UID; the caller owns the pod.
func New(uid string, parts Parts) *Supervisor {
	return &Supervisor{
		Parts:    parts,
		uid:      uid,
		inFlight: map[plan.Key]*flight{},
		images:   map[status.Image]ensured{},
		copiers:  map[string]*copier{},
		probers:  map[plan.Probe]context.CancelFunc{},
		probed:   make(chan probed),
		results:  make(chan result),
	}
}

// Run supervises until the pod has ended and is taken down, or is gone, or Until
// says so, or ctx is done. In the last two cases all stays as it is, for the next
// owner.
func (s *Supervisor) Run(ctx context.Context) (gone bool, err error) {
	s.events = teller{log: event.Open(s.Sandboxes.RootDir(s.uid)), began: s.Clock.Now(), told: map[tale]bool{}}
	ctx, cancel := context.WithCancel(ctx)
	defer s.abandon()
	defer cancel()
	events := s.Containers.Watch(ctx, container.TopicStart) // it starts them itself
	for ctx.Err() == nil {
		done, wake, err := s.step(ctx)
		if done {
			s.land(ctx)
			return s.gone, nil
		}
		s.note(err)
		if err != nil {
			wake = s.Clock.Now().Add(tryAgain)
		}
		s.wait(ctx, events, wake)
	}
	return false, context.Cause(ctx)
}

// note says that the pod cannot be looked at, once for each reason, and tries
// to mend the most likely one.
func (s *Supervisor) note(err error) {
	if err == nil {
		s.trouble = ""
		return
	}
	if text := err.Error(); text != s.trouble {
		s.Log.Error("look at pod", "uid", s.uid, "error", err)
		s.trouble = text
	}
	if errdefs.IsUnavailable(err) && s.Revive != nil {
		// What comes of it shows at the next look.
		_ = s.Revive()
	}
}

// step observes, plans and starts what is to be done, and says when to look
// again at the latest.
func (s *Supervisor) step(ctx context.Context) (done bool, wake time.Time, err error) {
	sb, obs, err := Observe(ctx, s.Sandboxes, s.uid, s.likely...)
	if errdefs.IsNotFound(err) {
		s.gone = true
		return true, time.Time{}, nil
	}
	if err != nil {
		return false, time.Time{}, err
	}
	s.tellOf(sb.Pod, &obs)
	if s.Until != nil && s.Until(sb, obs) {
		return true, time.Time{}, nil
	}
	s.sandbox = sb
	s.known, s.likely = map[string]bool{sb.ID: true}, []string{sb.ID}
	for _, c := range obs.Containers {
		s.known[c.ID] = true
		if !c.Dead() {
			s.likely = append(s.likely, c.ID)
		}
	}
	s.copyLogs(ctx, sb, obs)
	s.refresh(ctx, sb)
	s.keepProbing(ctx, sb, obs)
	if err := s.noteConditions(ctx, sb, obs); err != nil && sb.Pod.DeletionTimestamp == nil { // removal must need no space
		return false, time.Time{}, err
	}
	next := plan.Next(sb.Pod, obs, s.work(), s.Clock.Now())
	for _, key := range next.Cancel {
		s.inFlight[key].callOff()
	}
	for _, action := range next.Actions {
		s.announce(action)
		if err := s.memorize(ctx, action); err != nil {
			return false, time.Time{}, err
		}
		if action.Immediate() {
			return false, s.Clock.Now(), nil
		}
		s.begin(ctx, action, sb, obs)
	}
	return next.End != plan.Going, next.Wake, nil
}

// memorize writes down what has to be known before an action, or is all of it.
func (s *Supervisor) memorize(ctx context.Context, action plan.Action) error {
	memory := s.sandbox.Memory
	switch {
	case action.Kind == plan.CreateSandbox && s.sandbox.State == sandbox.Dead:
		return s.renew(ctx, action.Attempt)
	case action.Kind == plan.RestartAll:
		memory.RestartedAt = s.Clock.Now()
	case action.Kind == plan.EndPod:
		memory.End = &sandbox.End{Reason: action.Reason, Message: action.Cause, At: s.Clock.Now()}
	default:
		return nil
	}
	s.Log.Debug("write down", "action", action)
	return s.save(ctx, memory)
}

// renew writes down that the sandbox is made anew, before that is done: what
// is older than this belongs to the one before.
func (s *Supervisor) renew(ctx context.Context, attempt int) error {
	memory := s.sandbox.Memory
	memory.Attempt, memory.IPs, memory.StartedAt = attempt, nil, s.Clock.Now()
	memory.BootID = s.Sandboxes.BootID()
	return s.save(ctx, memory)
}

// save writes the sandbox' memory. Actions may be reading the sandbox as they
// were given it, so that one is not changed.
func (s *Supervisor) save(ctx context.Context, memory sandbox.Memory) error {
	changed := *s.sandbox
	changed.Memory = memory
	s.sandbox = &changed
	return s.Sandboxes.SaveMemory(ctx, s.sandbox)
}

func (s *Supervisor) work() plan.Work {
	work := plan.Work{InFlight: map[plan.Key]plan.Action{}, Images: map[status.Image]time.Time{}, Exceeded: s.volumes.exceeded}
	for key, flight := range s.inFlight {
		work.InFlight[key] = flight.action
	}
	for key, image := range s.images {
		work.Images[key] = image.at
	}
	return work
}

// begin performs an action beside the loop. An action in flight with the same
// key gives way to it.
func (s *Supervisor) begin(ctx context.Context, action plan.Action, sb *sandbox.Sandbox, obs status.Observed) {
	if current, ok := s.inFlight[action.Key()]; ok {
		current.callOff()
	}
	ctx, cancel := context.WithCancel(ctx)
	flight := &flight{action: action, cancel: cancel}
	s.inFlight[action.Key()] = flight
	s.flying++
	s.Log.Debug("begin", "action", action)
	s.tell(Progress{Action: action, State: Begun})
	perform := s.performer(action, sb, obs)
	go func() {
		begin := s.Clock.Now()
		r := perform(ctx)
		cancel()
		r.flight = flight
		s.Log.Debug("end", "action", action, "took", s.Clock.Since(begin), "error", r.err)
		s.results <- r
	}()
}

// wait returns when there is a reason to look again, having taken in what
// actions have sent by then.
func (s *Supervisor) wait(ctx context.Context, events <-chan string, wake time.Time) {
	d := lookAgain
	if !wake.IsZero() {
		d = min(d, max(0, wake.Sub(s.Clock.Now())))
	}
	timer := s.Clock.NewTimer(d)
	defer timer.Stop()
	for looking := false; !looking; {
		select {
		case <-ctx.Done():
			return
		case <-timer.C():
			looking = true
		case id := <-events:
			looking = id == "" || s.known[id] && !s.awaits(id)
		case <-s.volumes.changed:
			s.volumes.next, looking = time.Time{}, true
		case r := <-s.volumes.done:
			s.refreshed(r)
			looking = true
		case r := <-s.results:
			s.settle(ctx, r)
			looking = true
		case p := <-s.probed:
			s.settleProbe(ctx, p)
			looking = true
		}
	}
	for {
		select {
		case r := <-s.results:
			s.settle(ctx, r)
		case p := <-s.probed:
			s.settleProbe(ctx, p)
		case <-events:
		default:
			return
		}
	}
}

// awaits says that a container is being created or started: there is a reason to
// look at it when that has ended, and not before.
func (s *Supervisor) awaits(id string) bool {
	for key, flight := range s.inFlight {
		switch key.Kind {
		case plan.CreateContainer, plan.StartContainer:
			if id == container.ID(s.uid, flight.action.Container, flight.action.Attempt) {
				return true
			}
		}
	}
	return false
}

// settle takes in how an action ended and writes down what of it the world
// does not show.
func (s *Supervisor) settle(ctx context.Context, r result) {
	action := r.flight.action
	s.flying--
	if s.inFlight[action.Key()] != r.flight {
		return // it gave way to another one
	}
	delete(s.inFlight, action.Key())
	if r.image != nil {
		s.images[action.Image] = ensured{image: r.image, at: s.Clock.Now()}
	}
	// An error that only looks like being called off is one like any other: it
	// must be noted, or the action would be tried again at once, for ever.
	if ctx.Err() != nil || r.err != nil && r.flight.unwanted {
		return
	}
	s.tell(Progress{Action: action, State: Ended, Error: r.err})
	s.report(action, r.err)
	if r.err == nil {
		switch action.Kind {
		case plan.RecordExit, plan.RemoveContainer:
			delete(s.copiers, container.ID(s.uid, action.Container, action.Attempt))
		case plan.RemovePod:
			return // and with it the record
		}
	}
	if err := s.remember(ctx, r); err != nil && !errdefs.IsNotFound(err) {
		s.Log.Error("write down what happened", "action", action, "error", err)
	}
}

func (s *Supervisor) remember(ctx context.Context, r result) error {
	memory := s.sandbox.Memory
	failures := map[string]status.Failure{}
	for name, f := range memory.Failures {
		// Of a container that the pod does not have any more nobody needs to know.
		if _, ok := status.MemberOf(s.sandbox.Pod, name); ok || name == "" {
			failures[name] = status.Failure(f)
		}
	}
	if r.err == nil {
		plan.Succeeded(failures, r.flight.action)
	} else {
		reason, message := reasonOf(r.err)
		plan.Failed(failures, r.flight.action, reason, message, s.Clock.Now())
	}
	memory.Failures = nil
	for name, f := range failures {
		if memory.Failures == nil {
			memory.Failures = map[string]sandbox.Failure{}
		}
		memory.Failures[name] = sandbox.Failure(f)
	}
	if r.err == nil {
		switch r.flight.action.Kind {
		case plan.CreateSandbox:
			memory.IPs = r.ips
		case plan.StopSandbox:
			memory.Stopped = true
		}
	}
	if reflect.DeepEqual(memory, s.sandbox.Memory) {
		return nil
	}
	return s.save(ctx, memory)
}

// land waits for the actions that are in flight to end as they should, those
// excepted that may take long: they are broken off and left to the next owner.
func (s *Supervisor) land(ctx context.Context) {
	for key, flight := range s.inFlight {
		switch key.Kind {
		case plan.EnsureImage, plan.PostStart, plan.BeginStop, plan.StopContainer:
			flight.callOff()
		}
	}
	for s.flying > 0 {
		s.settle(ctx, <-s.results)
	}
	if s.volumes.done != nil {
		s.refreshed(<-s.volumes.done)
	}
	s.late.Wait()
}

// abandon waits for the actions, which their context has ended, and stops
// copying logs; the next owner goes on with both.
func (s *Supervisor) abandon() {
	for ; s.flying > 0; s.flying-- {
		<-s.results
	}
	if s.volumes.done != nil {
		<-s.volumes.done
	}
	for _, c := range s.copiers {
		<-c.done
	}
	s.probing.Wait()
	s.late.Wait()
}
