package pod

import (
	"context"
	"errors"
	"os"

	"github.com/containerd/errdefs"
	v1 "k8s.io/api/core/v1"
	"k8s.io/utils/clock"

	"podrun/container/stack"
	"podrun/pod/supervise"
)

// Supervise owns a pod until it has ended or is gone, or ctx is done; it is
// the whole of a supervisor process. A pod that is owned already is left to
// its owner. progress may be nil.
func (e *Engine) Supervise(ctx context.Context, uid string, progress func(supervise.Progress)) error {
	lock, err := supervise.Acquire(e.sandboxes.RootDir(uid))
	if errors.Is(err, supervise.ErrOwned) {
		return nil
	}
	if err != nil {
		return err
	}
	defer lock.Release()
	err = e.supervisor(uid, progress).Run(ctx)
	if _, gone := e.sandboxes.Load(context.WithoutCancel(ctx), uid); errdefs.IsNotFound(gone) {
		// Whoever looked at the pod at its very end may have thought that it
		// had no owner, and started one for which there is nothing to do.
		return errors.Join(err, e.sandboxes.Forget(context.WithoutCancel(ctx), uid))
	}
	return err
}

func (e *Engine) supervisor(uid string, progress func(supervise.Progress)) *supervise.Supervisor {
	return supervise.New(uid, supervise.Parts{
		Sandboxes:  e.sandboxes,
		Containers: e.containers,
		Images:     e.images,
		Progress:   progress,
		Clock:      clock.RealClock{},
		Log:        e.config.Log,
	})
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
	return e.spawn(v.pod, nil)
}

// SuperviseCommand is the command that a supervisor process is started with.
const SuperviseCommand = "supervise"

// spawn starts a supervisor process; progress may be nil.
func (e *Engine) spawn(pod *v1.Pod, progress func(*v1.Pod, supervise.Progress)) error {
	uid := string(pod.UID)
	pipe, err := supervise.Spawn(e.sandboxes.RootDir(uid), []string{SuperviseCommand, uid}, e.environment())
	if err != nil {
		return err
	}
	if progress == nil {
		return pipe.Close()
	}
	go func() {
		defer pipe.Close()
		supervise.ReadProgress(pipe, func(p supervise.Progress) { progress(pod, p) })
	}()
	return nil
}

// inherited are the variables that a supervisor gets from who starts it: where
// programs and registry credentials are.
var inherited = []string{"PATH", "HOME", "DOCKER_CONFIG", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"}

// environment says to a supervisor process what this Engine was told.
func (e *Engine) environment() []string {
	env := []string{
		"PODRUN_ROOT=" + e.config.Root,
		"PODRUN_RUN_DIR=" + e.config.RunDir,
		"CONTAINERD_ADDRESS=" + e.config.Containerd,
		"PODRUN_CNI_CONF_DIR=" + e.config.CNIConfDir,
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

// Detach takes the calling process out of its caller's cgroup.
func Detach() error { return stack.LeaveCaller(os.Getpid()) }
