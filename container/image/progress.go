package image

import (
	"sync"
)

// What becomes of a layer.
const (
	Waiting     = "waiting"
	Downloading = "downloading"
	Downloaded  = "downloaded"
	Unpacking   = "unpacking"
	Unpacked    = "unpacked"
)

// Progress tells how far a pull has come with one part of an image.
type Progress struct {
	Ref     string // the image, as it was asked for
	Layer   string // the digest of the part
	Status  string // one of the constants above
	Current int64  // bytes
	Total   int64  // bytes, 0 when unknown
}

// A reporter hands on progress, one at a time, until it is closed.
type reporter struct {
	ref    string
	report func(Progress) // may be nil

	mu     sync.Mutex
	closed bool
}

func (r *reporter) tell(p Progress) {
	if r.report == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		p.Ref = r.ref
		r.report(p)
	}
}

func (r *reporter) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
}
