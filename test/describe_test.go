package test

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// describesProbes: the first lines say what the probe of a container that is not
// ready answers.
func describesProbes(t *testing.T, in *instance) {
	in.up(t, `
apiVersion: v1
kind: Pod
metadata: {name: unready}
spec:
  containers:
  - name: a
    image: BUSYBOX
    command: [sleep, "1000"]
    readinessProbe: {exec: {command: [sh, -c, "echo no luck; exit 1"]}, periodSeconds: 1}
`)
	const want = "pod/unready is not well: Running\n  container a: it runs and is not ready\n    Readiness probe failed: no luck"
	eventually(t, 20*time.Second, func() error {
		if got := in.ok(t, "describe", "unready"); !strings.HasPrefix(got, want) {
			return errors.New(got)
		}
		return nil
	})
}
