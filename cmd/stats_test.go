package cmd

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"podrun/pod"
)

// sample is what one look at a pod tells, after it has used cpu.
func sample(namespace, name string, at time.Time, cpu time.Duration) pod.PodStats {
	usage := pod.CPUStats{Time: metav1.NewMicroTime(at), UsageCoreNanoSeconds: uint64(cpu)}
	return pod.PodStats{
		Pod: pod.StatsRef{Namespace: namespace, Name: name, UID: namespace + name},
		CPU: usage,
		Containers: []pod.ContainerStats{
			{Name: "a", CPU: usage, Memory: pod.MemoryStats{WorkingSetBytes: 3 << 20}, Processes: pod.ProcessStats{Count: 2}},
			{Name: "b\x1b[31m", CPU: usage},
		},
		Network: &pod.NetworkStats{RxBytes: 2048, TxBytes: 10},
	}
}

func TestStatsTable(t *testing.T) {
	t.Parallel()
	begin := time.Unix(1000, 0)
	before := []pod.PodStats{sample("default", "web", begin, time.Second)}
	now := []pod.PodStats{sample("default", "web", begin.Add(2*time.Second), 2*time.Second), sample("default", "new", begin, 0)}
	pod.Rate(before, now)
	var out bytes.Buffer
	if err := statsTable(&out, now); err != nil {
		t.Fatal(err)
	}
	want := `POD   CONTAINER     CPU    MEMORY   LIMIT   NETWORK         PIDS
web   a             500m   3.0MiB   -       2.0KiB / 10B    2
web   "b\x1b[31m"   500m   0B       -                       0
new   a             -      3.0MiB   -       2.0KiB / 10B    2
new   "b\x1b[31m"   -      0B       -                       0
`
	if squeeze(out.String()) != squeeze(want) {
		t.Errorf("the table is\n%s", out.String())
	}
	now[1].Pod.Namespace = "shop"
	out.Reset()
	if err := statsTable(&out, now); err != nil || !strings.HasPrefix(out.String(), "NAMESPACE ") || !strings.Contains(out.String(), "\nshop ") {
		t.Errorf("with two namespaces: %v\n%s", err, out.String())
	}
}

func squeeze(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	return strings.Join(lines, "\n")
}

// A container that was made anew has a rate of its own.
func TestStatsRateOfANewInstance(t *testing.T) {
	t.Parallel()
	begin := time.Unix(1000, 0)
	before, now := sample("default", "web", begin, 5*time.Second), sample("default", "web", begin.Add(time.Second), 6*time.Second)
	now.Containers[0].StartTime = metav1.NewTime(begin)
	stats := []pod.PodStats{now}
	pod.Rate([]pod.PodStats{before}, stats)
	if stats[0].Containers[0].CPU.UsageNanoCores != nil {
		t.Error("it has the rate of the one before")
	}
	if rate := stats[0].CPU.UsageNanoCores; rate == nil || *rate != 1e9 {
		t.Errorf("the pod has %v", rate)
	}
}

// A live table is drawn over the one before, until its context ends.
func TestLiveStats(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	a := &app{Streams: Streams{Out: &out}}
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	looks := 0
	err := a.liveStats(ctx, func(context.Context) ([]pod.PodStats, error) {
		if looks++; looks == 3 {
			cancel(enough)
		}
		return []pod.PodStats{sample("default", "web", time.Now(), 0)}, nil
	})
	if !errors.Is(err, enough) || strings.Count(out.String(), "\x1b[HPOD ") != 2 || strings.Count(out.String(), "\x1b[K\n") != 6 {
		t.Errorf("%v\n%q", err, out.String())
	}
}
