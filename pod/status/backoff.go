package status

import "time"

// The crash back-off (kubelet: kubelet.go, client-go flowcontrol.Backoff).
const (
	firstBackoff = 10 * time.Second
	maxBackoff   = 300 * time.Second
	// forgetAfter is how long an instance lives for its crashes to be forgotten.
	forgetAfter = 2 * maxBackoff
)

// Restart returns when the instance that follows a dead one may be made, and
// the Backoff to write down for it. The first restart is immediate, the
// second comes 10 s after the second end, then 20 s, … 300 s; an instance that
// lived for ten minutes begins anew.
//
// Because each instance carries the back-off that follows it, the newest dead
// one is all that must be kept.
func Restart(dead *Container) (at time.Time, next time.Duration) {
	if dead.Backoff == 0 || dead.FinishedAt.Sub(dead.CreatedAt) > forgetAfter {
		return dead.FinishedAt, firstBackoff
	}
	return dead.FinishedAt.Add(dead.Backoff), min(2*dead.Backoff, maxBackoff)
}
