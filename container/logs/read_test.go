package logs

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const sample = `2026-01-02T03:04:05Z stdout F one
2026-01-02T03:04:06.5Z stderr F two
not a line
2026-01-02T03:04:07.123456789Z stdout P thr
2026-01-02T03:04:08+01:00 stdout F ee
2026-01-02T03:04:09Z stdout F 
2026-01-02T03:04:10Z stderr P four
`

func sampleFiles(t *testing.T, log string) Files {
	t.Helper()
	f := Files{Dir: t.TempDir(), Attempt: 3}
	if err := os.WriteFile(filepath.Join(f.Dir, "3.log"), []byte(log), 0o600); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestRead(t *testing.T) {
	t.Parallel()
	since := time.Date(2026, 1, 2, 3, 4, 7, 0, time.UTC)
	for name, test := range map[string]struct {
		opts     Options
		out, err string
	}{
		"all":        {Options{Tail: -1}, "one\nthree\n\n", "two\nfour"},
		"tail 0":     {Options{Tail: 0}, "", ""},
		"tail 1":     {Options{Tail: 1}, "", "four"},
		"tail 2":     {Options{Tail: 2}, "\n", "four"},
		"tail 3":     {Options{Tail: 3}, "three\n\n", "four"},
		"tail 4":     {Options{Tail: 4}, "three\n\n", "two\nfour"},
		"tail 99":    {Options{Tail: 99}, "one\nthree\n\n", "two\nfour"},
		"since":      {Options{Tail: -1, Since: since}, "thr\n", "four"},
		"prefix":     {Options{Tail: 3, Prefix: "[c] "}, "[c] three\n[c] \n", "[c] four"},
		"timestamps": {Options{Tail: 3, Timestamps: true, Prefix: "c "}, "c 2026-01-02T03:04:07.123456789Z three\nc 2026-01-02T03:04:09.000000000Z \n", "c 2026-01-02T03:04:10.000000000Z four"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out, err bytes.Buffer
			if err := sampleFiles(t, sample).Read(t.Context(), &out, &err, test.opts, nil); err != nil {
				t.Fatal(err)
			}
			if out.String() != test.out || err.String() != test.err {
				t.Errorf("%q, %q; want %q, %q", &out, &err, test.out, test.err)
			}
		})
	}
}

// Both streams in one writer come in the order of the log.
func TestReadOrder(t *testing.T) {
	t.Parallel()
	var all bytes.Buffer
	if err := sampleFiles(t, sample).Read(t.Context(), &all, &all, Options{Tail: -1}, nil); err != nil {
		t.Fatal(err)
	}
	if got := all.String(); got != "one\ntwo\nthree\n\nfour" {
		t.Errorf("%q", got)
	}
}

func TestReadOddLogs(t *testing.T) {
	t.Parallel()
	tag := "2026-01-02T03:04:05Z stdout F "
	for name, test := range map[string]struct {
		log, out string
		tail     int
	}{
		"empty":                     {"", "", -1},
		"empty, tail":               {"", "", 5},
		"being written":             {tag + "a\n" + tag + "b", "a\n", -1},
		"being written, tail":       {tag + "a\n" + tag + "b\n" + tag + "c", "b\n", 1},
		"garbage":                   {strings.Repeat("\x00", 3*readerSize) + "\n" + tag + "a\n", "a\n", -1},
		"garbage, tail":             {strings.Repeat("\x00", 3<<20) + "\n" + tag + "a\n", "a\n", 5},
		"larger than a block":       {strings.Repeat(tag+strings.Repeat("x", maxLine)+"\n", 20), strings.Repeat(strings.Repeat("x", maxLine)+"\n", 20), -1},
		"larger than a block, tail": {strings.Repeat(tag+strings.Repeat("x", maxLine)+"\n", 20), strings.Repeat(strings.Repeat("x", maxLine)+"\n", 9), 9},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			if err := sampleFiles(t, test.log).Read(t.Context(), &out, io.Discard, Options{Tail: test.tail}, nil); err != nil {
				t.Fatal(err)
			}
			if out.String() != test.out {
				t.Errorf("%.100q (%d bytes), want %.100q (%d bytes)", &out, out.Len(), test.out, len(test.out))
			}
		})
	}
}

func TestReadMissing(t *testing.T) {
	t.Parallel()
	err := Files{Dir: t.TempDir()}.Read(t.Context(), io.Discard, io.Discard, Options{}, nil)
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestFollow(t *testing.T) {
	t.Parallel()
	f := create(t)
	r, w := io.Pipe()
	ended, done := make(chan struct{}), make(chan error, 1)
	go func() {
		done <- f.Read(context.Background(), w, w, Options{Tail: -1, Follow: true}, ended)
		w.Close()
	}()
	expect := func(want string) {
		t.Helper()
		got := make([]byte, len(want))
		if _, err := io.ReadFull(r, got); err != nil || string(got) != want {
			t.Fatalf("%q, %v; want %q", got, err, want)
		}
	}
	write(t, f, stdout, "one\n")
	copyAll(t, f)
	expect("one\n")
	// The container has ended, its last words are not yet in the log.
	close(ended)
	write(t, f, stderr, "two")
	copyAll(t, f)
	if err := f.Finish(); err != nil {
		t.Fatal(err)
	}
	expect("two")
	if rest, err := io.ReadAll(r); err != nil || len(rest) > 0 {
		t.Errorf("%q, %v", rest, err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestFollowCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("enough")
	done := make(chan error, 1)
	f := create(t)
	go func() { done <- f.Read(ctx, io.Discard, io.Discard, Options{Follow: true}, nil) }()
	cancel(cause)
	if err := <-done; !errors.Is(err, cause) {
		t.Errorf("got %v", err)
	}
}

// Nobody copies, nobody finishes: a follower leaves all the same.
func TestFollowWithoutSupervisor(t *testing.T) {
	t.Parallel()
	if err := create(t).Read(t.Context(), io.Discard, io.Discard, Options{Follow: true}, closed()); err != nil {
		t.Fatal(err)
	}
}

func BenchmarkRead(b *testing.B) {
	f := create(b)
	write(b, f, stdout, strings.Repeat(strings.Repeat("x", 99)+"\n", 100_000))
	copyAll(b, f)
	b.SetBytes(10_000_000)
	for b.Loop() {
		if err := f.Read(b.Context(), io.Discard, io.Discard, Options{Tail: -1}, nil); err != nil {
			b.Fatal(err)
		}
	}
}
