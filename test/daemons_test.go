package test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"podrun/test/daemon"
	"podrun/test/images"
)

// debian is what Debian's packages containerd, runc and
// containernetworking-plugins install.
var debian = []string{"/usr/bin/containerd", "/usr/bin/containerd-shim-runc-v2", "/usr/sbin/runc", "/usr/lib/cni/bridge"}

// The core of the tests with Debian's containerd 1.6, runc and CNI plugins, and
// a podrun that carries none of them.
func TestCoreDebian(t *testing.T) {
	t.Parallel()
	for _, path := range debian {
		if _, err := os.Stat(path); err != nil {
			t.Fatalf("apt-get install containerd runc containernetworking-plugins: %v", err)
		}
	}
	dir, err := os.MkdirTemp("/tmp", "pr-d-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	d, err := daemon.Start(t.Context(), debian[0], dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Stop(); err != nil {
			t.Error(err)
		}
	})
	in := empty(t)
	in.bin, in.Containerd = plain(t), d.Socket
	in.env = append(in.env, "CONTAINERD_ADDRESS="+d.Socket, "PODRUN_PAUSE_IMAGE="+pause(t))
	in.prime(t)
	runCore(t, in)
}

// plain returns a podrun that was built without the bundle.
func plain(t *testing.T) string {
	t.Helper()
	if bin := os.Getenv("PODRUN_PLAIN_BIN"); bin != "" {
		return bin
	}
	bin := filepath.Join(lab.dir, "podrun-plain")
	if err := goBuild(context.Background(), bin, "podrun"); err != nil {
		t.Fatal(err)
	}
	return bin
}

// pause serves the pause program as an image.
func pause(t *testing.T) string {
	t.Helper()
	img, err := images.Static("pause", "../bundle/out/pause")
	if err != nil {
		t.Fatalf("run make first: %v", err)
	}
	if err := lab.registry.Push(t.Context(), "pause:1", img); err != nil {
		t.Fatal(err)
	}
	return lab.registry.Ref("pause:1")
}
