package pod

import (
	"context"
	"errors"
	"os"

	"github.com/containerd/errdefs"
	"k8s.io/utils/clock"

	"podrun/container/stack"
	"podrun/pod/supervise"
)

// Supervise owns a pod until it has ended or is gone, or ctx is done; it is
// the whole of a supervisor process. A pod that is owned already is left to
// its owner.
func (e *Engine) Supervise(ctx context.Context, uid string) error {
	lock, err := supervise.Acquire(e.sandboxes.RootDir(uid))
	if errors.Is(err, supervise.ErrOwned) {
		return nil
	}
	if err != nil {
		return err
	}
	return e.own(ctx, lock, uid, supervise.Parts{})
}

// own supervises a pod whose lock the caller has, and gives the lock up.
// Of parts only what is asked for beyond the usual is filled in.
func (e *Engine) own(ctx context.Context, lock *supervise.Lock, uid string, parts supervise.Parts) error {
	defer lock.Release()
	parts.Sandboxes, parts.Containers, parts.Images, parts.Objects = e.sandboxes, e.containers, e.images, e.objects
	parts.Clock, parts.Log = clock.RealClock{}, e.config.Log
	parts.Revive = func() error { return stack.Revive(ctx, e.config.Stack()) }
	gone, err := supervise.New(uid, parts).Run(ctx)
	if err != nil {
		_, lost := e.sandboxes.Load(context.WithoutCancel(ctx), uid)
		gone = errdefs.IsNotFound(lost)
	}
	if gone {
		// Whoever locks a pod at its very end makes its directory once more.
		return errors.Join(err, e.sandboxes.Forget(context.WithoutCancel(ctx), uid))
	}
	return err
}

// ensureSupervised starts a supervisor for a pod that has none and needs one.
func (e *Engine) ensureSupervised(v *view) error {
	if v.over() {
		return nil
	}
	owned, err := supervise.Owned(e.sandboxes.RootDir(v.sandbox.UID()))
	if err != nil || owned {
		return err
	}
	return supervise.Spawn(e.sandboxes.RootDir(v.sandbox.UID()), []string{SuperviseCommand, v.sandbox.UID()}, e.environment(), stack.Start)
}

// SuperviseCommand is the command that a supervisor process is started with.
const SuperviseCommand = "supervise"

// inherited are the variables that a supervisor gets from who starts it: where
// programs and registry credentials are.
var inherited = []string{"PATH", "HOME", "DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"}

// environment says to a supervisor process what this Engine was told.
func (e *Engine) environment() []string {
	env := []string{
		"PODRUN_ROOT=" + e.config.Root,
		"PODRUN_RUN_DIR=" + e.config.RunDir,
		"CONTAINERD_ADDRESS=" + e.config.Containerd,
		"PODRUN_CNI_CONF_DIR=" + e.config.CNIConfDir,
	}
	if e.config.Systemd {
		env = append(env, "PODRUN_CGROUP_DRIVER=systemd")
	}
	if e.config.Debug {
		env = append(env, "PODRUN_DEBUG=1")
	}
	for _, name := range inherited {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// Retire is the last thing that a supervisor process does: it leaves the cgroup
// that it was put into, so that this can go with the last pod.
func Retire() error { return stack.Retire() }
