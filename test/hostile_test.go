package test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"podrun/test/images"
)

// hostile is an instance and the images that attack it.
type hostile struct {
	*instance
}

// push changes the busybox image and returns its reference.
func (h hostile) push(t *testing.T, name string, change func(v1.Image) (v1.Image, error)) string {
	t.Helper()
	img, err := change(lab.images["busybox:1"])
	if err == nil {
		err = lab.registry.Push(t.Context(), name, img)
	}
	if err != nil {
		t.Fatal(err)
	}
	return lab.registry.Ref(name)
}

// as changes the configuration of an image.
func as(change func(*v1.Config)) func(v1.Image) (v1.Image, error) {
	return func(img v1.Image) (v1.Image, error) { return images.With(img, change) }
}

func podOf(name, image, context string) string {
	return fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: %s}
spec:
  containers: [{name: a, image: %q, command: [sleep, "1000"], securityContext: %s}]
`, name, image, context)
}

// Images are made by others. Whatever they say of themselves, the machine and
// the other pods stay as they are, and a container has no more rights than its
// pod says.
func TestHostileImages(t *testing.T) {
	t.Parallel()
	h := hostile{start(t)}
	h.kept = []string{"image", "content", "snapshot", "file"}
	for name, test := range map[string]func(*testing.T, hostile){
		"user that overflows":      userOverflow,
		"user named as a number":   userNamedAsNumber,
		"FIFO as passwd":           fifoAsPasswd,
		"passwd of the machine":    passwdOfMachine,
		"labels":                   imageLabels,
		"environment":              imageEnvironment,
		"working directory":        imageWorkingDir,
		"volume as a way out":      imageLinkedMountPoint,
		"annotations of a pod":     podAnnotations,
		"entrypoint that is empty": emptyEntrypoint,
	} {
		t.Run(name, func(t *testing.T) { test(t, h) })
	}
}

func userOverflow(t *testing.T, h hostile) {
	for i, user := range []string{"4294967296", "-1", "2147483648", "99999999999999999999", "0:4294967296"} {
		name := fmt.Sprintf("overflow-%d", i)
		ref := h.push(t, name+":1", as(func(c *v1.Config) { c.User = user }))
		r := h.input(t, podOf(name, ref, "{}"), "up", "-").want(t, 1)
		if !strings.Contains(r.stderr, "is no user or group id") {
			t.Errorf("user %s: %s", user, r.stderr)
		}
	}
}

// userNamedAsNumber: a user that is called 1000 and is root does not make uid
// 1000 root.
func userNamedAsNumber(t *testing.T, h hostile) {
	ref := h.push(t, "number-name:1", func(img v1.Image) (v1.Image, error) {
		img, err := images.WithFile(img, "etc/passwd", "1000:x:0:0::/:/bin/sh\n")
		if err != nil {
			return nil, err
		}
		return images.With(img, func(c *v1.Config) { c.User = "1000" })
	})
	h.up(t, podOf("numbername", ref, "{runAsNonRoot: true}"))
	h.wantStatus(t, "numbername", "a", "Uid=1000 1000 1000 1000", "Gid=0 0 0 0", "CapEff=0000000000000000")
}

func fifoAsPasswd(t *testing.T, h hostile) {
	for _, file := range []string{"passwd", "group"} {
		ref := h.push(t, file+"-fifo:1", func(img v1.Image) (v1.Image, error) { return images.WithFIFO(img, "etc/"+file) })
		r := h.input(t, podOf(file+"fifo", ref, "{}"), "up", "-", "--timeout", "20s").want(t, 1)
		if !strings.Contains(r.stderr, "open /etc/"+file+" of the image: not a regular file") {
			t.Errorf("it says %s", r.stderr)
		}
	}
}

// passwdOfMachine: a link leads to a file of the image, never of the machine.
func passwdOfMachine(t *testing.T, h hostile) {
	outside := filepath.Join(t.TempDir(), "passwd")
	if err := os.WriteFile(outside, []byte("spy:x:77:77::/:/bin/sh\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for i, target := range []string{outside, strings.Repeat("../", 20) + outside, "/proc/1/root" + outside} {
		name := fmt.Sprintf("spy-%d", i)
		ref := h.push(t, name+":1", func(img v1.Image) (v1.Image, error) {
			img, err := images.WithLink(img, "etc/passwd", target)
			if err != nil {
				return nil, err
			}
			return images.With(img, func(c *v1.Config) { c.User = "spy" })
		})
		h.input(t, podOf(name, ref, "{}"), "up", "-").want(t, 1)
	}
}

// imageLabels: what an image says of itself is no record of podrun's.
func imageLabels(t *testing.T, h hostile) {
	ref := h.push(t, "labels:1", as(func(c *v1.Config) {
		c.Labels = map[string]string{
			"podrun/kind": "pause", "io.kubernetes.pod.uid": "evil", "io.kubernetes.container.name": "evil",
			"containerd.io/gc.root": "evil", "podrun/exit": "evil", "evil": "evil",
		}
	}))
	pod := h.up(t, podOf("labelled", ref, "{}"))
	if pods := h.pods(t).Items; len(pods) != 1 || pods[0].UID != pod.UID || len(pod.Labels) != 0 {
		t.Errorf("the pods are %+v", pods)
	}
	h.wantNowhere(t, "evil")
}

// podAnnotations: they are the user's, and no way to talk to the runtime.
func podAnnotations(t *testing.T, h hostile) {
	h.up(t, strings.Replace(podOf("annotated", lab.busybox, "{}"), "{name: annotated}",
		`{name: annotated, annotations: {run.oci.keep_original_groups: "evil", io.containerd.runc.v2.group: evil}}`, 1))
	h.wantNowhere(t, "evil")
}

// wantNowhere fails the test when a label or a spec of a container has a text.
func (h hostile) wantNowhere(t *testing.T, text string) {
	t.Helper()
	client, err := containerd.New(filepath.Join(h.RunDir, "containerd", "containerd.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx := namespaces.WithNamespace(t.Context(), "podrun")
	list, err := client.Containers(ctx)
	if err != nil || len(list) < 2 {
		t.Fatalf("%d containers, %v", len(list), err)
	}
	for _, c := range list {
		info, err := c.Info(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if said := fmt.Sprint(info.Labels, string(info.Spec.GetValue())); strings.Contains(said, text) {
			t.Errorf("container %s: %s", c.ID(), said)
		}
	}
}

// imageEnvironment: an entry that has no value gets none of podrun's.
func imageEnvironment(t *testing.T, h hostile) {
	ref := h.push(t, "env:1", as(func(c *v1.Config) { c.Env = []string{"PODRUN_ROOT", "HOME", "=x", "", "GOOD=1", "PATH=/bin"} }))
	h.up(t, podOf("env", ref, "{}"))
	env := h.ok(t, "exec", "env", "--", "cat", "/proc/1/environ")
	entries := strings.Split(strings.TrimSuffix(env, "\x00"), "\x00")
	want := "GOOD=1 HOME=/root HOSTNAME=env PATH=/bin" // HOME is the runtime's, of the image's passwd
	if got := strings.Join(slices.Sorted(slices.Values(entries)), " "); got != want {
		t.Errorf("the environment is %q, want %q", got, want)
	}
}

// imageWorkingDir: it is made inside of the container, wherever links lead.
func imageWorkingDir(t *testing.T, h hostile) {
	outside := t.TempDir()
	for i, target := range []string{outside, strings.Repeat("../", 20) + outside} {
		name := fmt.Sprintf("workdir-%d", i)
		ref := h.push(t, name+":1", func(img v1.Image) (v1.Image, error) {
			img, err := images.WithLink(img, "work", target)
			if err != nil {
				return nil, err
			}
			return images.With(img, func(c *v1.Config) { c.WorkingDir = "/work/made" })
		})
		// runc may make it inside, or not at all.
		h.later(t, podOf(name, ref, "{}"))
		if r := h.input(t, podOf(name, ref, "{}"), "up", "-"); r.code > 1 {
			t.Errorf("exit %d: %s", r.code, r.stderr)
		}
		if made, err := os.ReadDir(outside); err != nil || len(made) > 0 {
			t.Errorf("on the machine there is %v, %v", made, err)
		}
	}
}

// imageLinkedMountPoint: a volume is mounted inside of the container, wherever
// links of the image lead.
func imageLinkedMountPoint(t *testing.T, h hostile) {
	outside := t.TempDir()
	ref := h.push(t, "mountpoint:1", func(img v1.Image) (v1.Image, error) { return images.WithLink(img, "data", outside) })
	h.up(t, fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: mountpoint}
spec:
  volumes: [{name: v}]
  containers: [{name: a, image: %q, command: [sleep, "1000"], volumeMounts: [{name: v, mountPath: /data/deep}]}]
`, ref))
	h.ok(t, "exec", "mountpoint", "--", "sh", "-c", "grep -q ' "+outside+"/deep ' /proc/mounts && : > /data/deep/f")
	if made, err := os.ReadDir(outside); err != nil || len(made) > 0 {
		t.Errorf("on the machine there is %v, %v", made, err)
	}
}

func emptyEntrypoint(t *testing.T, h hostile) {
	ref := h.push(t, "nothing:1", as(func(c *v1.Config) { c.Entrypoint, c.Cmd = nil, nil }))
	text := strings.Replace(podOf("nothing", ref, "{}"), `command: [sleep, "1000"], `, "", 1)
	if r := h.input(t, text, "up", "-").want(t, 1); !strings.Contains(r.stderr, "no command specified") {
		t.Errorf("it says %s", r.stderr)
	}
}
