package output

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "write the golden files")

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func newPods() []v1.Pod {
	web := v1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "default", UID: "u1", CreationTimestamp: metav1.NewTime(noon.Add(-200 * time.Second))}}
	web.Spec.Containers = []v1.Container{
		{Name: "httpd", Image: "busybox:1.36", Ports: []v1.ContainerPort{
			{ContainerPort: 80, HostPort: 8080, Protocol: v1.ProtocolTCP},
			{ContainerPort: 53, HostPort: 53, HostIP: "::1", Protocol: v1.ProtocolUDP},
			{ContainerPort: 9000, Protocol: v1.ProtocolTCP}}},
		{Name: "side", Image: "alpine"},
	}
	web.Status = v1.PodStatus{Phase: v1.PodRunning, PodIPs: []v1.PodIP{{IP: "10.1.0.2"}}, ContainerStatuses: []v1.ContainerStatus{
		{Name: "httpd", Ready: true, State: v1.ContainerState{Running: &v1.ContainerStateRunning{}}},
		{Name: "side", RestartCount: 3, State: v1.ContainerState{Waiting: &v1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}},
			LastTerminationState: v1.ContainerState{Terminated: &v1.ContainerStateTerminated{FinishedAt: metav1.NewTime(noon.Add(-20 * time.Second))}}},
	}}
	evil := v1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "e\x1b[31mvil\u009b", Namespace: "default", Annotations: map[string]string{"a": "\x1b]0;\u0007\u007f\u0085\u009b\u2028"}}}
	evil.Spec.Containers = []v1.Container{{Name: "a", Image: "i\n"}}
	evil.Status.Phase = v1.PodPending
	return []v1.Pod{web, evil}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is\n%s\nwant\n%s", name, got, want)
	}
}

func TestPods(t *testing.T) {
	t.Parallel()
	two := newPods()
	two[1].Namespace = "other"
	for _, c := range []struct {
		file   string
		pods   []v1.Pod
		format Format
	}{
		{"pods.txt", newPods(), Short},
		{"pods-wide.txt", newPods(), Wide},
		{"pods-two-namespaces.txt", two, Short},
		{"pods-none.txt", nil, Short},
		{"pods-name.txt", newPods(), Name},
		{"pods.json", newPods(), JSON},
		{"pods.yaml", newPods(), YAML},
		{"pods-none.json", nil, JSON},
	} {
		var b bytes.Buffer
		if err := Pods(&b, c.pods, c.format, noon); err != nil {
			t.Fatal(err)
		}
		golden(t, c.file, b.Bytes())
		if strings.ContainsFunc(b.String(), func(r rune) bool { return r < ' ' && r != '\n' || r >= 0x7f && r <= 0x9f }) {
			t.Errorf("%s holds control characters", c.file)
		}
	}
}

// TestPodLines: what is printed of pods as they change is one table, and says of
// each change what is new.
func TestPodLines(t *testing.T) {
	t.Parallel()
	for _, format := range []Format{Short, Wide, Name, JSON, YAML} {
		var b bytes.Buffer
		lines := NewPodLines(&b, format)
		pods := newPods()
		pods[0].UID, pods[1].UID = "u1", "u2"
		write := func(now time.Time, pods ...v1.Pod) {
			t.Helper()
			if err := lines.Write(pods, now); err != nil {
				t.Fatal(err)
			}
		}
		write(noon)
		write(noon, pods...)
		pods[0].Labels = map[string]string{"a": "b"}
		write(noon.Add(time.Hour), pods[0]) // nothing that the table shows
		pods[1].Status.Phase = v1.PodSucceeded
		write(noon.Add(time.Hour), pods[1])
		if err := lines.Gone(&pods[0], noon.Add(2*time.Hour)); err != nil {
			t.Fatal(err)
		}
		elsewhere := pods[1]
		elsewhere.UID, elsewhere.Namespace = "u3", "elsewhere"
		write(noon.Add(time.Hour), elsewhere)
		golden(t, "watch-"+string(format)+".txt", b.Bytes())
	}
}

// TestRoundTrip: what is written is read as the same objects.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	pods := newPods()
	for _, format := range []Format{JSON, YAML} {
		var b bytes.Buffer
		if err := Pod(&b, &pods[1], format); err != nil {
			t.Fatal(err)
		}
		var read v1.Pod
		if err := yaml.UnmarshalStrict(b.Bytes(), &read); err != nil {
			t.Fatalf("%s: %v", format, err)
		}
		if read.Kind != "Pod" || read.APIVersion != "v1" {
			t.Errorf("%s: read a %s %s", format, read.APIVersion, read.Kind)
		}
		read.TypeMeta = metav1.TypeMeta{}
		want, _ := json.Marshal(pods[1])
		if got, _ := json.Marshal(read); !bytes.Equal(got, want) {
			t.Errorf("%s: read\n%s\nwrote\n%s", format, got, want)
		}
	}
	if pods[1].Kind != "" {
		t.Error("the caller's pod was changed")
	}
}

func TestParseFormat(t *testing.T) {
	t.Parallel()
	if f, err := ParseFormat("wide", Short, Wide, JSON); f != Wide || err != nil {
		t.Errorf("wide: %q, %v", f, err)
	}
	_, err := ParseFormat("yml", Short, JSON, YAML)
	if err == nil || err.Error() != `output format "yml": want one of json, yaml` {
		t.Errorf("yml: %v", err)
	}
	if err := Pod(&bytes.Buffer{}, &v1.Pod{}, Wide); err == nil {
		t.Error("an object was written in the format wide")
	}
}

func TestQuote(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"web":         "web",
		"zwölf 12 ✓":  "zwölf 12 ✓",
		"a\x1b[2Jb":   `"a\x1b[2Jb"`,
		"a\nb":        `"a\nb"`,
		"a\u202eb":    `"a\u202eb"`,
		"\xff":        `"\xff"`,
		"c1\u009b31m": `"c1\u009b31m"`,
	} {
		if got := Quote(in); got != want {
			t.Errorf("Quote(%q) is %s, want %s", in, got, want)
		}
	}
}

func TestEscape(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                        "",
		"pull \"zwölf\":\n\tno ✓": "pull \"zwölf\":\n\tno ✓",
		"a\x1b[2Jb\r\n":           "a\\x1b[2Jb\\r\n",
		"\xff\ufffd \u202e":       "\\xff\\ufffd \\u202e",
	} {
		if got := Escape(in); got != want {
			t.Errorf("Escape(%q) is %q, want %q", in, got, want)
		}
	}
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	for _, c := range [][2]string{
		{Size(0), "0B"}, {Size(1023), "1023B"}, {Size(1536), "1.5KiB"}, {Size(20 << 20), "20MiB"}, {Size(3 << 50), "3072TiB"},
		{Took(12345 * time.Microsecond), "12ms"}, {Took(1449 * time.Millisecond), "1.4s"}, {Took(90 * time.Second), "1m30s"},
		{Age(192 * time.Second), "3m12s"},
	} {
		if c[0] != c[1] {
			t.Errorf("got %s, want %s", c[0], c[1])
		}
	}
}
