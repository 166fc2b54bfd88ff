package test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// summary is what stats -o json prints, as a kubelet's summary has it.
type summary struct {
	Pods []struct {
		PodRef     struct{ Name, Namespace, UID string }
		Containers []struct {
			Name      string
			CPU       struct{ UsageNanoCores, UsageCoreNanoSeconds uint64 }
			Memory    struct{ UsageBytes, WorkingSetBytes, AvailableBytes uint64 }
			Processes struct {
				Count uint64 `json:"process_count"`
			} `json:"process_stats"`
		}
		CPU     struct{ UsageNanoCores, UsageCoreNanoSeconds uint64 }
		Memory  struct{ UsageBytes, WorkingSetBytes uint64 }
		Network *struct {
			Name             string
			RxBytes, TxBytes uint64
		}
	}
}

// showsStats: what the kernel counts, of each container that runs.
func showsStats(t *testing.T, in *instance) {
	pod := in.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: counted}
spec:
  restartPolicy: Never
  containers:
  - name: busy
    image: BUSYBOX
    command: [sh, -c, "sleep 1000 & while :; do :; done"]
    resources: {limits: {cpu: 300m, memory: 64Mi}}
  - {name: idle, image: PROBE, args: ["-http=:80", -wait=-1s]}
  - {name: over, image: PROBE}
`)
	var before summary
	if err := json.Unmarshal([]byte(in.ok(t, "stats", "counted", "-o", "json")), &before); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		ask(t, addr(pod.Status.PodIP, 80))
	}
	eventually(t, 10*time.Second, func() error {
		var now summary
		if err := json.Unmarshal([]byte(in.ok(t, "stats", "counted", "-o", "json")), &now); err != nil {
			return err
		}
		if len(now.Pods) != 1 || now.Pods[0].PodRef.UID != string(pod.UID) || len(now.Pods[0].Containers) != 2 {
			return fmt.Errorf("there is %+v", now)
		}
		p := now.Pods[0]
		busy, idle := p.Containers[0], p.Containers[1]
		switch {
		case busy.Name != "busy" || idle.Name != "idle":
			return fmt.Errorf("containers %s, %s", busy.Name, idle.Name)
		case busy.CPU.UsageNanoCores < 1e8 || busy.CPU.UsageNanoCores > 6e8 || busy.CPU.UsageNanoCores <= idle.CPU.UsageNanoCores:
			return fmt.Errorf("cpu of %d and %d", busy.CPU.UsageNanoCores, idle.CPU.UsageNanoCores)
		case p.CPU.UsageCoreNanoSeconds < busy.CPU.UsageCoreNanoSeconds:
			return fmt.Errorf("the pod has used less cpu than its container: %+v", p)
		case busy.Processes.Count != 2:
			return fmt.Errorf("%d processes", busy.Processes.Count)
		case busy.Memory.WorkingSetBytes == 0 || busy.Memory.WorkingSetBytes+busy.Memory.AvailableBytes != 64<<20:
			return fmt.Errorf("memory %+v", busy.Memory)
		case p.Network == nil || p.Network.Name != "eth0" || p.Network.RxBytes < before.Pods[0].Network.RxBytes+20*300:
			return fmt.Errorf("network %+v, before %+v", p.Network, before.Pods[0].Network)
		}
		// Not to the byte: it goes on running.
		if counted := usageOf(t, string(pod.UID)); counted > 2*p.Memory.UsageBytes || 2*counted < p.Memory.UsageBytes {
			return fmt.Errorf("the pod uses %d bytes, the kernel counts %d", p.Memory.UsageBytes, counted)
		}
		return nil
	})
	table := in.ok(t, "stats", "counted")
	lines := strings.Split(strings.TrimSpace(table), "\n")
	if len(lines) != 3 || !strings.HasPrefix(lines[0], "POD ") || strings.Fields(lines[1])[1] != "busy" || !strings.Contains(lines[1], "64MiB") {
		t.Errorf("the table is %s", table)
	}
	in.run(t, "stats", "nobody").want(t, 1)
	in.run(t, "stats", "-o", "xml").want(t, 2)
	if err := json.Unmarshal([]byte(in.ok(t, "stats", "-n", "empty", "-o", "json")), &before); err != nil || len(before.Pods) != 0 {
		t.Errorf("in an empty namespace: %+v, %v", before, err)
	}
}

// usageOf is the memory that the kernel charges to a pod.
func usageOf(t *testing.T, uid string) uint64 {
	t.Helper()
	for _, pattern := range []string{"/sys/fs/cgroup/memory/*/*/pod%s/memory.usage_in_bytes", "/sys/fs/cgroup/*/*/*%s*/memory.current"} {
		for _, name := range []string{uid, strings.ReplaceAll(uid, "-", "_")} {
			files, _ := filepath.Glob(fmt.Sprintf(pattern, name))
			for _, file := range files {
				text, err := os.ReadFile(file)
				if err != nil {
					continue
				}
				value, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
				if err != nil {
					t.Fatal(err)
				}
				return value
			}
		}
	}
	t.Fatalf("no cgroup of pod %s", uid)
	return 0
}
