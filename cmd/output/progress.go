package output

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/term"
)

// Mode is how progress is shown.
type Mode string

// The modes. Auto becomes Animated on a terminal, Plain elsewhere.
const (
	Auto     Mode = "auto"
	Animated Mode = "animated" // lines that change in place
	Plain    Mode = "plain"    // a line per finished step
	None     Mode = "none"
)

// Progress shows how steps come along. Steps may run side by side; each is
// known by its text. All methods may be called from any goroutine, and on a
// nil Progress do nothing.
type Progress struct {
	mu     sync.Mutex
	w      io.Writer
	mode   Mode
	color  bool
	size   func() (width, height int) // of the terminal, 0 if unknown
	steps  []*step                    // that run, oldest first
	drawn  int                        // lines on the screen that will be drawn anew
	frame  int
	closed chan struct{}
	close  sync.Once
	ended  sync.WaitGroup
}

type step struct {
	text       string
	cur, total int64
}

const (
	tick   = 100 * time.Millisecond
	frames = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"

	red, green, plain = "\x1b[31m", "\x1b[32m", "\x1b[0m"
	clearBelow        = "\x1b[J"
)

// fder is a file.
type fder interface{ Fd() uintptr }

// NewProgress shows progress on w, which should be standard error; noColor is
// set when NO_COLOR is. It must be closed.
func NewProgress(w io.Writer, mode Mode, noColor bool) *Progress {
	p := &Progress{w: w, mode: mode, color: !noColor, size: func() (int, int) { return 0, 0 }, closed: make(chan struct{})}
	file, isFile := w.(fder)
	onTerminal := isFile && term.IsTerminal(int(file.Fd()))
	if mode == Auto {
		p.mode = Plain
		if onTerminal {
			p.mode = Animated
		}
	}
	if onTerminal {
		p.size = func() (int, int) {
			width, height, err := term.GetSize(int(file.Fd()))
			if err != nil {
				return 0, 0
			}
			return width, height
		}
	}
	if p.mode == Animated {
		p.ended.Go(p.animate)
	}
	return p
}

// Start shows that a step has begun.
func (p *Progress) Start(text string) {
	p.change(func() string {
		p.steps = append(p.steps, &step{text: text})
		return ""
	})
}

// Bytes shows how far a step is; a total of 0 is unknown.
func (p *Progress) Bytes(text string, cur, total int64) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.steps {
		if s.text == text {
			s.cur, s.total = cur, total
		}
	}
}

// Done shows that a step has ended well after d.
func (p *Progress) Done(text string, d time.Duration) {
	p.finish(text, fmt.Sprintf("%s %s (%s)", p.paint(green, "✓"), Quote(text), Took(d)))
}

// Fail shows that a step has failed. The error is not shown: it is the
// caller's to report.
func (p *Progress) Fail(text string) {
	p.finish(text, fmt.Sprintf("%s %s", p.paint(red, "✗"), Quote(text)))
}

// Write prints lines above the steps that run; they must be whole.
func (p *Progress) Write(lines []byte) (int, error) {
	if p == nil {
		return len(lines), nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.draw(string(lines)); err != nil {
		return 0, err
	}
	return len(lines), nil
}

// Close takes the steps that still run off the screen. A second call does
// nothing.
func (p *Progress) Close() {
	if p == nil {
		return
	}
	p.close.Do(func() { close(p.closed) })
	p.ended.Wait()
	p.change(func() string {
		p.steps = nil
		return ""
	})
}

func (p *Progress) finish(text, line string) {
	p.change(func() string {
		if i := slices.IndexFunc(p.steps, func(s *step) bool { return s.text == text }); i >= 0 {
			p.steps = slices.Delete(p.steps, i, i+1)
		}
		if p.mode == None {
			return ""
		}
		return line + "\n"
	})
}

// change changes the steps and prints the lines that are returned.
func (p *Progress) change(do func() string) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	// Progress that cannot be shown is not worth failing for.
	_ = p.draw(do())
}

func (p *Progress) animate() {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		select {
		case <-p.closed:
			return
		case <-ticker.C:
			p.change(func() string {
				p.frame++
				return ""
			})
		}
	}
}

// draw prints lines above the running steps, and these anew.
func (p *Progress) draw(lines string) error {
	var b bytes.Buffer
	if p.drawn > 0 {
		fmt.Fprintf(&b, "\r\x1b[%dA%s", p.drawn, clearBelow)
		p.drawn = 0
	}
	b.WriteString(lines)
	width, height := p.size()
	for _, s := range p.steps {
		if p.mode != Animated || height > 0 && p.drawn == height-1 {
			break // what scrolled away could not be drawn anew
		}
		b.WriteString(cut(p.running(s), width) + "\n")
		p.drawn++
	}
	if b.Len() == 0 {
		return nil
	}
	_, err := p.w.Write(b.Bytes())
	return err
}

// running is the line of a step that runs.
func (p *Progress) running(s *step) string {
	spinner := []rune(frames)
	line := string(spinner[p.frame%len(spinner)]) + " " + Quote(s.text)
	switch {
	case s.total > 0:
		line += fmt.Sprintf(" %s of %s", Size(s.cur), Size(s.total))
	case s.cur > 0:
		line += " " + Size(s.cur)
	}
	return line
}

// cut makes a text fit into a line of the terminal.
func cut(line string, width int) string {
	if width > 0 && utf8.RuneCountInString(line) >= width {
		return string([]rune(line)[:width-1])
	}
	return line
}

func (p *Progress) paint(color, s string) string {
	if p == nil || !p.color || p.mode != Animated {
		return s
	}
	return color + s + plain
}

// Took returns how long a step took, to a person's precision: 12ms, 1.4s.
func Took(d time.Duration) string {
	if d < time.Second {
		return d.Round(time.Millisecond).String()
	}
	return d.Round(100 * time.Millisecond).String()
}

// Size returns a number of bytes as 512B, 1.5KiB, 20MiB.
func Size(bytes int64) string {
	value, unit := float64(bytes), 0
	for value >= 1024 && unit < 4 {
		value, unit = value/1024, unit+1
	}
	name := strings.Fields("B KiB MiB GiB TiB")[unit]
	if value >= 10 || unit == 0 {
		return fmt.Sprintf("%.0f%s", value, name)
	}
	return fmt.Sprintf("%.1f%s", value, name)
}
