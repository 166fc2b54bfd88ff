package container

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/pkg/labels"
	v1 "k8s.io/api/core/v1"
)

func TestRecordRoundTrip(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 23, 15, 4, 5, 123456789, time.UTC)
	for name, record := range map[string]Record{
		"pause": {Kind: KindPause, Pod: PodRef{UID: "u", Namespace: "n", Name: "p"}},
		"running": {
			Kind: KindApp, Pod: PodRef{UID: "u", Namespace: "n", Name: "p"}, Name: "c", Attempt: 3,
			Backoff: 20 * time.Second, ImageID: "r@sha256:0", StopSignal: "SIGQUIT", StartedAt: at,
			User: &v1.LinuxContainerUser{UID: 1, GID: 2, SupplementalGroups: []int64{3}}, PostStart: "done",
		},
		"stopping": {Kind: KindApp, Name: "c", StoppingAt: at, PreStopped: true},
		"exited": {
			Kind: KindApp, Pod: PodRef{UID: "u"}, Name: "c", Replaced: true, StartedAt: at,
			Exit: &Exit{Code: 137, Reason: "OOMKilled", Message: "m", OOMKilled: true, FinishedAt: at},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := recordFrom(record.labels())
			if err != nil || !reflect.DeepEqual(got, record) {
				t.Errorf("got %+v, %v, want %+v", got, err, record)
			}
		})
	}
}

func TestRecordRefusesNonsense(t *testing.T) {
	t.Parallel()
	for key, value := range map[string]string{
		labelAttempt: "x", labelBackoff: "soon", labelStartedAt: "yesterday", labelStoppingAt: "soon", labelUser: "me", labelExit: "{",
	} {
		set := Record{}.labels()
		set[key] = value
		if _, err := recordFrom(set); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s=%q: %v", key, value, err)
		}
	}
}

// Whatever a process or the runtime says, the label must be one that containerd
// takes: else the exit could never be recorded.
func TestExitFitsIntoLabel(t *testing.T) {
	t.Parallel()
	for _, message := range []string{
		strings.Repeat("x", 10_000),
		strings.Repeat("\x00", 10_000), // grows sixfold when it is quoted
		strings.Repeat("\"", 3000),
		strings.Repeat("ä", 2500),
	} {
		label := Exit{Reason: "Error", Message: message}.label()
		if err := labels.Validate(labelExit, label); err != nil {
			t.Errorf("%.20q…: %v", message, err)
		}
		record := Record{}.labels()
		record[labelExit] = label
		if got, err := recordFrom(record); err != nil || got.Exit.Message == "" {
			t.Errorf("%.20q…: read back %+v, %v", message, got.Exit, err)
		}
	}
}

func TestID(t *testing.T) {
	t.Parallel()
	ids := map[string]string{}
	for _, of := range []struct {
		uid, name string
		attempt   int
	}{{"u", "", 0}, {"u", "a", 0}, {"u", "a", 1}, {"u", "b", 0}, {"v", "a", 0}} {
		id := ID(of.uid, of.name, of.attempt)
		if other, taken := ids[id]; taken || len(id) != 64 {
			t.Errorf("%+v has the ID %s, as %s", of, id, other)
		}
		ids[id] = of.name
	}
}

func TestIsShim(t *testing.T) {
	t.Parallel()
	line := func(args ...string) []byte { return []byte(strings.Join(args, "\x00") + "\x00") }
	for _, test := range []struct {
		cmdline []byte
		want    bool
	}{
		{line("/x/containerd-shim-runc-v2", "-namespace", "podrun", "-id", "abc", "-address", "/s"), true},
		{line("/x/containerd-shim-runc-v2", "-namespace", "podrun", "-id", "abcd"), false},
		{line("/x/containerd-shim-runc-v2", "-id"), false},
		{line("/bin/sleep", "-id", "abc"), false},
		{nil, false},
	} {
		if got := isShim(test.cmdline, "abc"); got != test.want {
			t.Errorf("%q: %v", test.cmdline, got)
		}
	}
}
