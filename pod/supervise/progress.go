package supervise

import "podrun/pod/plan"

// ProgressState is where an action is.
type ProgressState string

// The states of an action.
const (
	Begun ProgressState = "begun"
	Going ProgressState = "going"
	Ended ProgressState = "ended"
)

// Progress tells how an action goes. It is for people to look at; what is
// true of a pod is what is observed.
type Progress struct {
	Action plan.Action
	State  ProgressState
	Error  error // of an action that has ended
	// Of a pull: the bytes of one layer.
	Layer          string
	Current, Total int64
}

func (s *Supervisor) tell(p Progress) {
	if s.Progress != nil {
		s.Progress(p)
	}
}
