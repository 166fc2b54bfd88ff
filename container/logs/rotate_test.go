package logs

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// rotatedFiles is a log of n lines in several files, and its text.
func rotatedFiles(t *testing.T, n int, limits Limits) (Files, string) {
	t.Helper()
	f := create(t)
	ended, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- f.Copy(t.Context(), ended, limits) }()
	var all strings.Builder
	for i := range n {
		line := fmt.Sprintf("line %d of a log\n", i)
		all.WriteString(line)
		write(t, f, stdout, line)
		if i%10 == 9 {
			eventually(t, "the lines are in the log", func() bool {
				out, _ := tailed(t, f, 1)
				return out == line
			})
		}
	}
	close(ended)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return f, all.String()
}

func tailed(t *testing.T, f Files, n int) (stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	if err := f.Read(t.Context(), &out, &err, Options{Tail: n}, nil); err != nil {
		t.Fatal(err)
	}
	return out.String(), err.String()
}

// What is kept can be read as if it were one file, from any line on.
func TestRotate(t *testing.T) {
	t.Parallel()
	f, all := rotatedFiles(t, 100, Limits{MaxSize: 400, MaxFiles: 100})
	lines := strings.SplitAfter(strings.TrimSuffix(all, "\n"), "\n")
	for n := range len(lines) + 2 {
		out, _ := tailed(t, f, n)
		want := strings.Join(lines[max(0, len(lines)-n):], "")
		if n > 0 {
			want += "\n"
		}
		if out != want {
			t.Fatalf("tail %d: %q, want %q", n, out, want)
		}
	}
	if out, _ := content(t, f); out != all {
		t.Errorf("%d bytes, want %d", len(out), len(all))
	}
}

// As with a kubelet there are the log, one that was rotated, and packed ones,
// with the names that log collectors know.
func TestRotatedFiles(t *testing.T) {
	t.Parallel()
	f, all := rotatedFiles(t, 200, Limits{MaxSize: 400, MaxFiles: 4})
	if err := f.Finish(); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(f.Dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
		if info, err := entry.Info(); err != nil || info.Mode() != 0o640 {
			t.Errorf("%s: mode %v, %v", entry.Name(), info.Mode(), err)
		}
	}
	stamp := `[0-9]{8}-[0-9]{6}`
	want := regexp.MustCompile(`^0\.log 0\.log\.` + stamp + `\.gz 0\.log\.` + stamp + `\.gz 0\.log\.` + stamp + `$`)
	if got := strings.Join(names, " "); !want.MatchString(got) {
		t.Errorf("there are %s", got)
	}
	out, _ := content(t, f)
	if !strings.HasSuffix(all, out) || strings.Count(out, "\n") < 20 {
		t.Errorf("what is left is not the end: %q", out)
	}
	if err := f.Remove(); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(f.Dir); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// Another instance's logs, and files of other names, are not taken for rotated ones.
func TestRotatedNames(t *testing.T) {
	t.Parallel()
	f := Files{Dir: t.TempDir(), Attempt: 1}
	for _, name := range []string{
		"1.log", "1.log.20260102-030405", "1.log.20260102-030406.gz", "1.log.20260102-030405.gz", "1.log.20260102-030407.tmp",
		"1.log.new", "1.logs.20260102-030405", "11.log.20260102-030405", "2.log.20260102-030405", "1.log.20260102",
	} {
		if err := os.WriteFile(filepath.Join(f.Dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := f.rotated()
	if want := f.Log() + ".20260102-030405 " + f.Log() + ".20260102-030406"; err != nil || strings.Join(got, " ") != want {
		t.Errorf("got %v, %v", got, err)
	}
}
