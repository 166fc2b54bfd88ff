package test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// runtimes: a pod runs with the runtime that it names, and with none that the
// machine does not have.
func runtimes(t *testing.T, in *instance) {
	text := manifest(`
apiVersion: v1
kind: Pod
metadata: {name: crun}
spec:
  runtimeClassName: crun
  containers:
  - {name: a, image: BUSYBOX, command: [sleep, "1000"], securityContext: {runAsUser: 5}}
  - {name: b, image: BUSYBOX, command: [sleep, "1000"]}
`)
	in.later(t, text)
	r := in.input(t, text, "up", "-")
	if controllers, err := os.ReadFile("/sys/fs/cgroup/unified/cgroup.controllers"); err == nil && len(controllers) > 1 {
		// crun runs nothing on such a machine, and says so: nobody else does.
		if r.code != 1 || !strings.Contains(r.stderr, "cgroups in hybrid mode not supported") {
			t.Errorf("exit %d: %s", r.code, r.stderr)
		}
	} else {
		in.wantStatus(t, "crun", "a", "Uid=5 5 5 5", "Seccomp=2")
		// Each runtime keeps its state in a way of its own.
		states, err := filepath.Glob(filepath.Join(in.RunDir, "runc", "podrun", "*", "status"))
		if err != nil || len(states) != 3 {
			t.Errorf("crun has %d containers, %v", len(states), err)
		}
	}
	for _, name := range []string{"gvisor", "runsc"} {
		text := strings.Replace(podOf("unknown", lab.busybox, "{}"), "spec:\n", "spec:\n  runtimeClassName: "+name+"\n", 1)
		r := in.input(t, text, "up", "-").want(t, 2)
		if !strings.Contains(r.stderr, `spec.runtimeClassName: no runtime for "`+name+`" is configured: this machine has `) {
			t.Errorf("it says %s", r.stderr)
		}
	}
}
