package test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// withAppArmor: containers run under the profile that the manifest names, or else under
// the default one, where the machine has AppArmor; elsewhere that is refused.
func withAppArmor(t *testing.T, in *instance) {
	text := manifest(`
apiVersion: v1
kind: Pod
metadata: {name: profiled}
spec:
  securityContext: {appArmorProfile: {type: Localhost, localhostProfile: podrun-test-deny}}
  containers:
  - {name: a, image: BUSYBOX, command: [sleep, "1001"]}
  - {name: b, image: BUSYBOX, command: [sleep, "1002"], securityContext: {appArmorProfile: {type: RuntimeDefault}}}
  - {name: c, image: BUSYBOX, command: [sleep, "1003"], securityContext: {appArmorProfile: {type: Unconfined}}}
  - {name: d, image: BUSYBOX, command: [sleep, "1004"], securityContext: {privileged: true}}
`)
	parser, err := exec.LookPath("/sbin/apparmor_parser")
	if enabled, _ := os.ReadFile("/sys/module/apparmor/parameters/enabled"); err != nil || !strings.HasPrefix(string(enabled), "Y") {
		r := in.input(t, text, "up", "-").want(t, 2)
		for _, field := range []string{"spec.securityContext.appArmorProfile", "spec.containers[1].securityContext.appArmorProfile"} {
			if !strings.Contains(r.stderr, field+": cannot enforce AppArmor: ") {
				t.Errorf("it does not say that of %s: %s", field, r.stderr)
			}
		}
		return
	}
	load := func(verb string) {
		cmd := exec.Command(parser, verb)
		cmd.Stdin = strings.NewReader("profile podrun-test-deny flags=(attach_disconnected,mediate_deleted) {\n file, network, capability, signal, umount,\n deny /denied w,\n}\n")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("apparmor_parser %s: %v: %s", verb, err, out)
		}
	}
	load("--replace")
	t.Cleanup(func() { load("--remove") })
	in.up(t, text)
	for name, want := range map[string]string{"a": "podrun-test-deny (enforce)", "b": "podrun-default (enforce)", "c": "unconfined", "d": "unconfined"} {
		if got := strings.TrimRight(in.ok(t, "exec", "profiled", "-c", name, "--", "cat", "/proc/1/attr/current"), "\x00\n"); got != want {
			t.Errorf("container %s runs under %q, want %q", name, got, want)
		}
		if got := strings.TrimRight(in.ok(t, "exec", "profiled", "-c", name, "--", "cat", "/proc/self/attr/current"), "\x00\n"); got != want {
			t.Errorf("exec in container %s runs under %q, want %q", name, got, want)
		}
	}
	in.ok(t, "exec", "profiled", "-c", "a", "--", "touch", "/allowed")
	if r := in.run(t, "exec", "profiled", "-c", "a", "--", "touch", "/denied"); r.code == 0 || !strings.Contains(r.stderr, "Permission denied") {
		t.Errorf("what the profile denies: %d, %s", r.code, r.stderr)
	}
	in.ok(t, "exec", "profiled", "-c", "b", "--", "touch", "/denied")

	text = manifest("apiVersion: v1\nkind: Pod\nmetadata: {name: unprofiled}\nspec: {containers: [{name: a, image: BUSYBOX, command: [sleep, '1'], securityContext: {appArmorProfile: {type: Localhost, localhostProfile: podrun-test-none}}}]}\n")
	in.later(t, text)
	if r := in.input(t, text, "up", "-"); r.code != 1 || !strings.Contains(r.stderr, "apparmor") {
		t.Errorf("a profile that is not there: %d, %s", r.code, r.stderr)
	}
}
