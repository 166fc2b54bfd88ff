package status

import "time"

// The crash back-off (kubelet: kubelet.go, client-go flowcontrol.Backoff), and
// in proportion to the first all others that follow from a base.
const (
	firstBackoff = 10 * time.Second
	maxBackoff   = 30 // times the first
	// forgetAfter is how long an instance lives, in times of the first, for its
	// crashes to be forgotten.
	forgetAfter = 2 * maxBackoff
)

func (o *Observed) firstBackoff() time.Duration {
	if o.BackoffBase > 0 {
		return o.BackoffBase
	}
	return firstBackoff
}

// Restart returns when the instance that follows a dead one may be made, and
// the Backoff to write down for it. The first restart is immediate, the
// second comes 10 s after the second end, then 20 s, … 300 s; an instance that
// lived for ten minutes begins anew. Neither does one wait that has another
// image by now, nor what ended for all containers to begin anew.
//
// Because each instance carries the back-off that follows it, the newest dead
// one is all that must be kept.
func (o *Observed) Restart(m Member, dead *Container) (at time.Time, next time.Duration) {
	first := o.firstBackoff()
	anew := dead.Changed(m.Container) || m.Role == Init && !o.Current(dead) ||
		dead.CreatedAt.Before(o.RestartedAt) && (dead.FinishedAt.After(o.RestartedAt) || o.again())
	if dead.Backoff == 0 || anew || dead.FinishedAt.Sub(dead.CreatedAt) > forgetAfter*first {
		return dead.FinishedAt, first
	}
	return dead.FinishedAt.Add(dead.Backoff), min(2*dead.Backoff, maxBackoff*first)
}
