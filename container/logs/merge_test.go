package logs

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
)

// Lines that are written in pieces, from several sides at once, stay whole.
func TestMerger(t *testing.T) {
	t.Parallel()
	const writers, lines = 8, 200
	var out, err bytes.Buffer
	m := NewMerger(&out, &err)
	var group sync.WaitGroup
	for n := range writers {
		group.Go(func() {
			stdout, stderr, flush := m.Writers()
			for i := range lines {
				for piece := range strings.SplitAfterSeq(fmt.Sprintf("%d: line %d\n", n, i), " ") {
					if _, err := io.WriteString(stdout, piece); err != nil {
						t.Error(err)
					}
				}
			}
			if _, err := fmt.Fprintf(stderr, "%d ends\n%d", n, n); err != nil {
				t.Error(err)
			}
			if err := flush(); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	var next [writers]int
	for line := range strings.Lines(out.String()) {
		var n, i int
		if _, err := fmt.Sscanf(line, "%d: line %d\n", &n, &i); err != nil || n >= writers || i != next[n] {
			t.Fatalf("line %q: %v", line, err)
		}
		next[n]++
	}
	for n, count := range next {
		if count != lines || !strings.Contains(err.String(), fmt.Sprintf("%d ends\n", n)) {
			t.Errorf("%d lines of writer %d, errors %q", count, n, &err)
		}
	}
}

// A line that never ends does not fill the memory.
func TestMergerHoldsLittle(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	stdout, _, _ := NewMerger(&out, io.Discard).Writers()
	for range 100 {
		if _, err := stdout.Write(bytes.Repeat([]byte("x"), 4096)); err != nil {
			t.Fatal(err)
		}
	}
	if out.Len() < 100*4096-maxHeld-4096 {
		t.Errorf("%d bytes were passed on", out.Len())
	}
}
