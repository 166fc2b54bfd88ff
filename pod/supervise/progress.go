package supervise

import (
	"encoding/json"
	"io"
	"sync"

	"podrun/pod/plan"
)

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
	Action plan.Action   `json:"action"`
	State  ProgressState `json:"state"`
	Error  string        `json:"error,omitempty"`
	// Of a pull: bytes of one layer.
	Layer   string `json:"layer,omitempty"`
	Current int64  `json:"current,omitempty"`
	Total   int64  `json:"total,omitempty"`
}

// WriteProgress returns a function that writes what it is told to w, until
// nobody reads it any more.
func WriteProgress(w io.Writer) func(Progress) {
	var mu sync.Mutex
	broken := false
	encoder := json.NewEncoder(w)
	return func(p Progress) {
		mu.Lock()
		defer mu.Unlock()
		if !broken {
			broken = encoder.Encode(p) != nil
		}
	}
}

// ReadProgress hands on what WriteProgress wrote, until its end.
func ReadProgress(r io.Reader, to func(Progress)) {
	decoder := json.NewDecoder(r)
	for {
		var p Progress
		if decoder.Decode(&p) != nil {
			return
		}
		to(p)
	}
}

func (s *Supervisor) tell(p Progress) {
	if s.Progress != nil {
		s.Progress(p)
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
