package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"

	"podrun/test/images"
)

// containersConf lets Debian's podman run where rlimits cannot be raised, and
// with the same runtime as podrun's.
const containersConf = `[containers]
default_ulimits=["nofile=20000:20000","nproc=30000:30000"]
[engine]
runtime="runc"
cgroup_manager="cgroupfs"
events_logger="file"
`

var errNoPodman = errors.New("podman is not installed")

// podman is Debian's podman with a storage of its own.
type podman struct {
	dir, run, manifest string
	global, env        []string
}

// newPodman loads the image, so that none is pulled later.
func newPodman(ctx context.Context, dir, run, manifest, image string) (*podman, error) {
	if _, err := exec.LookPath("podman"); err != nil {
		return nil, errNoPodman
	}
	if err := errors.Join(os.Mkdir(dir, 0o700), os.Mkdir(run, 0o700)); err != nil {
		return nil, err
	}
	conf, archive := filepath.Join(dir, "containers.conf"), filepath.Join(dir, "busybox.tar")
	m := &podman{
		dir: dir, run: run, manifest: manifest,
		global: []string{
			"--root", filepath.Join(dir, "root"), "--runroot", filepath.Join(run, "run"),
			"--tmpdir", filepath.Join(run, "tmp"), "--network-config-dir", filepath.Join(dir, "net"),
		},
		env: append(os.Environ(), "CONTAINERS_CONF="+conf),
	}
	img, err := images.Busybox()
	if err != nil {
		return nil, err
	}
	err = errors.Join(
		os.WriteFile(conf, []byte(containersConf), 0o600),
		images.WriteDocker(archive, image, img),
	)
	if err != nil {
		return nil, err
	}
	return m, m.do(ctx, "load", "-i", archive)
}

func (m *podman) do(ctx context.Context, args ...string) error {
	return command(ctx, m.env, "podman", append(m.global, args...)...)
}

func (m *podman) up(ctx context.Context) error { return m.do(ctx, "kube", "play", m.manifest) }
func (m *podman) down(ctx context.Context) error {
	return m.do(ctx, "pod", "rm", "--force", "--time", "0", "bench")
}

func (m *podman) close(ctx context.Context) error {
	return errors.Join(m.do(ctx, "system", "reset", "--force"), os.RemoveAll(m.dir), os.RemoveAll(m.run))
}
