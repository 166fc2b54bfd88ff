package output

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// session is a small run of `up`.
func session(p *Progress) {
	p.Start("pulling busybox")
	p.Start("making the sandbox\x1b[2J")
	p.Bytes("pulling busybox", 1536, 20<<20)
	fmt.Fprintln(p, "a warning")
	p.Done("making the sandbox\x1b[2J", 120*time.Millisecond)
	p.Fail("pulling busybox")
	p.Start("left over")
	p.Close()
	p.Close()
}

// still makes a progress that moves only when something happens.
func still(b *bytes.Buffer, mode Mode, color bool, width, height int) *Progress {
	return &Progress{w: b, mode: mode, color: color, size: func() (int, int) { return width, height }, closed: make(chan struct{})}
}

func TestProgress(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		file          string
		mode          Mode
		color         bool
		width, height int
	}{
		{"progress-plain.txt", Plain, true, 0, 0},
		{"progress-none.txt", None, true, 0, 0},
		{"progress-animated.txt", Animated, true, 80, 24},
		{"progress-no-color.txt", Animated, false, 0, 0},
		{"progress-small.txt", Animated, false, 12, 2},
	} {
		var b bytes.Buffer
		session(still(&b, c.mode, c.color, c.width, c.height))
		golden(t, c.file, []byte(strings.ReplaceAll(b.String(), "\x1b", "ESC")))
	}
}

func TestProgressAuto(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	p := NewProgress(&b, Auto, false)
	session(p)
	if p.mode != Plain || strings.Contains(b.String(), "\x1b") {
		t.Errorf("without a terminal the progress is %s:\n%q", p.mode, b.String())
	}
	session(nil)
}

// TestProgressTogether is for the race detector, and for what is left on the
// screen when many steps run while it is redrawn.
func TestProgressTogether(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	p := NewProgress(&b, Animated, true)
	var group sync.WaitGroup
	for i := range 20 {
		group.Go(func() {
			text := fmt.Sprint("step ", i)
			p.Start(text)
			p.Bytes(text, int64(i), 20)
			p.Done(text, 0)
		})
	}
	group.Wait()
	p.Close()
	if got := strings.Count(b.String(), "✓"); got != 20 {
		t.Errorf("%d steps were shown as done, want 20", got)
	}
	if p.drawn != 0 {
		t.Errorf("%d lines are left on the screen", p.drawn)
	}
}
