package test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// events returns what podrun tells of a pod's events.
func (in *instance) events(tb testing.TB, name string) []corev1.Event {
	tb.Helper()
	return unmarshal[corev1.EventList](tb, in.ok(tb, "events", "-o", "json", name)).Items
}

// find returns the event of that reason, whose message begins so.
func find(events []corev1.Event, reason, message string) *corev1.Event {
	i := slices.IndexFunc(events, func(e corev1.Event) bool { return e.Reason == reason && strings.HasPrefix(e.Message, message) })
	if i < 0 {
		return nil
	}
	return &events[i]
}

// eventsTell: what happened is told with the reasons of a kubelet, and counted
// when it happened again.
func eventsTell(t *testing.T, in *instance) {
	pod := in.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: events}
spec:
  terminationGracePeriodSeconds: 1
  volumes: [{name: v}]
  initContainers:
  - {name: i, image: BUSYBOX, command: ["true"]}
  containers:
  - name: a
    image: BUSYBOX
    command: [sh, -c, "trap 'exit 1' TERM; test -e /v/dead && exit 3; while :; do sleep 0.05; done"]
    volumeMounts: [{name: v, mountPath: /v}]
    lifecycle: {preStop: {exec: {command: [sh, -c, "exit 1"]}}}
    livenessProbe: {exec: {command: [sh, -c, "echo answer; test ! -e /v/sick"]}, periodSeconds: 1, failureThreshold: 2}
`, "--backoff-base", "200ms")
	follow := in.command(t.Context(), "events", "-f", "events")
	var followed strings.Builder
	follow.Stdout = &followed
	if err := follow.Start(); err != nil {
		t.Fatal(err)
	}
	in.ok(t, "exec", "events", "-c", "a", "--", "touch", "/v/sick", "/v/dead")
	want := [][3]string{
		{"Created", "Container created", "i"}, {"Started", "Container started", "i"}, {"Started", "Container started", "a"},
		{"Unhealthy", "Liveness probe failed: answer", "a"}, {"Killing", "Container a failed liveness probe, will be restarted", "a"},
		{"FailedPreStopHook", "PreStopHook failed", "a"},
		{"BackOff", "Back-off restarting failed container a in pod events_default(", "a"},
	}
	var all []corev1.Event
	eventually(t, 20*time.Second, func() error {
		all = in.events(t, "events")
		for _, w := range want {
			about := func(e corev1.Event) bool {
				return e.Reason == w[0] && strings.HasPrefix(e.Message, w[1]) && strings.Contains(e.InvolvedObject.FieldPath, "{"+w[2]+"}")
			}
			if !slices.ContainsFunc(all, about) {
				return fmt.Errorf("%v is not in %+v", w, all)
			}
		}
		if e := find(all, "BackOff", ""); e.Count < 3 {
			return fmt.Errorf("counted %+v", e)
		}
		return nil
	})
	for _, e := range all {
		warning := slices.Contains([]string{"Unhealthy", "FailedPreStopHook", "BackOff"}, e.Reason)
		if e.InvolvedObject.UID != pod.UID || e.Count < 1 || e.LastTimestamp.Before(&e.FirstTimestamp) || warning != (e.Type == corev1.EventTypeWarning) {
			t.Errorf("event %+v", e)
		}
	}
	in.ok(t, "rm", "events")
	if err := follow.Wait(); err != nil {
		t.Errorf("events -f does not end well with the pod: %v", err)
	}
	for _, word := range []string{"LAST SEEN", "BackOff", "(x3 over", "pod/events/a"} {
		if !strings.Contains(followed.String(), word) {
			t.Errorf("%q is not in %s", word, followed.String())
		}
	}
	in.run(t, "events", "events").want(t, 1)
}

// eventsTellOfVolumes: a pod that waits for what its volumes are made from says
// for what, and goes on when it is there.
func eventsTellOfVolumes(t *testing.T, in *instance) {
	text := manifest(`
apiVersion: v1
kind: Pod
metadata: {name: awaits}
spec:
  volumes: [{name: v, configMap: {name: awaited}}]
  containers: [{name: a, image: PROBE, args: [-wait=-1s], volumeMounts: [{name: v, mountPath: /v}]}]
`)
	const missing = `{apiVersion: v1, kind: ConfigMap, metadata: {name: awaited}, data: {key: value}}`
	t.Cleanup(func() { in.input(t, missing, "down", "-").want(t, 0) })
	in.later(t, text)
	in.input(t, text, "up", "-d", "-", "--backoff-base", "200ms").want(t, 0)
	const why = `MountVolume.SetUp failed for volume "v" : configmap "awaited" not found`
	eventually(t, 10*time.Second, func() error {
		if all := in.events(t, "awaits"); find(all, "FailedMount", why) == nil {
			return fmt.Errorf("%q is not in %+v", why, all)
		}
		return nil
	})
	if pod := in.pod(t, "awaits"); pod.Status.Phase != corev1.PodPending {
		t.Errorf("the pod is %s", pod.Status.Phase)
	}
	in.input(t, missing, "up", "-").want(t, 0)
	in.phase(t, "awaits", corev1.PodRunning)
}
