package logs

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestFrame(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", maxLine)
	for name, test := range map[string]struct {
		in    string
		rest  remainder
		lines []string // tag and content
		taken int      // -1: all
	}{
		"lines":                           {"a\nbc\n", leave, []string{"F a", "F bc"}, -1},
		"an empty line":                   {"\n", leave, []string{"F "}, -1},
		"\\r before a newline is dropped": {"a\r\n\r\n\r\r\n", leave, []string{"F a", "F ", "F \r"}, -1},
		"the rest is left":                {"a\nbc", leave, []string{"F a"}, 2},
		"the rest is shown":               {"a\nbc", show, []string{"F a", "P bc"}, -1},
		"a \\r may belong to a newline":   {"bc\r", show, []string{"P bc"}, 2},
		"a lone \\r is not shown":         {"\r", show, nil, 0},
		"the end":                         {"bc\r", finish, []string{"P bc\r"}, -1},
		"the longest line":                {long + "\n", leave, []string{"F " + long}, -1},
		"the longest line, \\r\\n":        {long + "\r\n", leave, []string{"F " + long}, -1},
		"the longest line may have ended": {long, leave, nil, 0},
		"or have a \\r":                   {long + "\r", leave, nil, 0},
		"longer":                          {long + "yz\n", leave, []string{"P " + long, "F yz"}, -1},
		"longer by a \\r":                 {long + "\rz\n", leave, []string{"P " + long, "F \rz"}, -1},
		"a long line that goes on":        {long + "y", leave, []string{"P " + long}, maxLine},
		"pieces":                          {long + long + long + "y\n", leave, []string{"P " + long, "P " + long, "P " + long, "F y"}, -1},
		"the end of a long line":          {long + "\r", finish, []string{"P " + long, "P \r"}, -1},
		"any byte":                        {"\x00\xff\x1b[1m\n", leave, []string{"F \x00\xff\x1b[1m"}, -1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			now := time.Date(2026, 1, 2, 3, 4, 5, 600, time.UTC)
			out, taken := newFramer(now, stderr).frame(nil, []byte(test.in), test.rest, 1<<20)
			var want strings.Builder
			for _, l := range test.lines {
				want.WriteString("2026-01-02T03:04:05.0000006Z stderr " + l + "\n")
			}
			if string(out) != want.String() {
				t.Errorf("lines:\n%.200q\nwant:\n%.200q", out, want.String())
			}
			if test.taken < 0 {
				test.taken = len(test.in)
			}
			if taken != test.taken {
				t.Errorf("taken %d, want %d", taken, test.taken)
			}
		})
	}
}

func TestFrameStopsAtLimit(t *testing.T) {
	t.Parallel()
	out, taken := newFramer(time.Now(), stdout).frame(nil, bytes.Repeat([]byte("\n"), 1000), leave, 100)
	if len(out) < 100 || len(out) > 200 || taken == 0 || taken > 10 {
		t.Errorf("%d bytes made from %d", len(out), taken)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"2016-10-06T00:17:09.669794202Z stdout F log content 1",
		"2016-10-06T00:17:09.66979Z stderr P:x ", "a stdout F", "", "   ", " stdout F x",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		l, ok := parse(b)
		if !ok {
			return
		}
		if len(l.time) == 0 || l.stream >= streams || !bytes.HasSuffix(b, l.content) {
			t.Errorf("%q: %+v", b, l)
		}
	})
}

// What is framed, in whatever portions, is read back as it was.
func FuzzFrame(f *testing.F) {
	f.Add([]byte("a\r\nb\n\r"), uint16(3))
	f.Add(bytes.Repeat([]byte("x\r"), maxLine), uint16(maxLine+1))
	f.Fuzz(func(t *testing.T, in []byte, portion uint16) {
		var out, back []byte
		framer := newFramer(time.Now(), stdout)
		for left, avail := in, 0; len(left) > 0; {
			avail = min(len(left), avail+int(portion)+1)
			rest := show
			if avail == len(left) {
				rest = finish
			}
			lines, taken := framer.frame(nil, left[:avail], rest, 1<<10)
			out = append(out, lines...)
			left, avail = left[taken:], avail-taken
		}
		for raw := range bytes.Lines(out) {
			l, ok := parse(bytes.TrimSuffix(raw, []byte("\n")))
			if !ok || len(l.content) > maxLine {
				t.Fatalf("bad line %.100q", raw)
			}
			back = append(back, l.content...)
			if l.full {
				back = append(back, '\n')
			}
		}
		if want := bytes.ReplaceAll(in, []byte("\r\n"), []byte("\n")); !bytes.Equal(back, want) {
			t.Errorf("%.100q became %.100q", in, back)
		}
	})
}
