package supervise

import (
	"cmp"
	"context"
	"path/filepath"
	"sync"

	"podrun/container/logs"
	"podrun/pod/status"
	"podrun/sandbox"
)

// LogFiles names the log files of an instance of a pod's container.
func LogFiles(sandboxes *sandbox.Store, uid, name string, attempt int) logs.Files {
	return logs.Files{Dir: filepath.Join(sandboxes.LogDir(uid), name), Attempt: attempt}
}

// copier copies the output of one instance of a container into its log.
type copier struct {
	files logs.Files
	end   func()        // tells it that no more output comes
	stop  func()        // breaks it off
	done  chan struct{} // closed when it has ended
	err   error         // set when done is closed
}

// finish copies what is left, and then removes what only copying needs.
func (c *copier) finish(ctx context.Context) error {
	c.end()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-c.done:
	}
	if c.err != nil {
		return c.err
	}
	return c.files.Finish()
}

// copyLogs sees to it that the output of every instance is copied. An instance
// that has ended, and that an owner before this one did not get to, is copied
// to its end.
func (s *Supervisor) copyLogs(ctx context.Context, sb *sandbox.Sandbox, obs status.Observed) {
	if sb.Pod.DeletionTimestamp != nil {
		return
	}
	for _, c := range obs.Containers {
		if c.State == status.Registered || s.copying(c.ID) {
			continue
		}
		files := s.logFiles(c.Name, c.Attempt)
		if files.Finished() {
			continue
		}
		copier := s.startCopier(ctx, files)
		s.copiers[c.ID] = copier
		if c.State == status.Exited {
			s.late.Go(func() { s.finishLate(ctx, c.ID, copier) })
		}
	}
}

// copying says whether the output of an instance is being copied. A copier
// that failed is forgotten, so that there will be another one.
func (s *Supervisor) copying(id string) bool {
	copier, ok := s.copiers[id]
	if !ok {
		return false
	}
	select {
	case <-copier.done:
		if copier.err != nil {
			delete(s.copiers, id)
			return false
		}
	default:
	}
	return true
}

func (s *Supervisor) startCopier(ctx context.Context, files logs.Files) *copier {
	ctx, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	limits := logs.DefaultLimits
	limits.MaxSize = cmp.Or(s.sandbox.Memory.Settings.LogMaxSize, limits.MaxSize)
	limits.MaxFiles = cmp.Or(s.sandbox.Memory.Settings.LogMaxFiles, limits.MaxFiles)
	c := &copier{files: files, end: sync.OnceFunc(func() { close(ended) }), stop: stop, done: make(chan struct{})}
	go func() {
		defer close(c.done)
		defer stop()
		if c.err = files.Copy(ctx, ended, limits); c.err != nil && ctx.Err() == nil {
			s.Log.Error("copy log", "file", files.Log(), "error", c.err)
		}
	}()
	return c
}

// finishLate does what is left of recording an exit after the record itself.
func (s *Supervisor) finishLate(ctx context.Context, id string, copier *copier) {
	err := s.Containers.DeleteTask(ctx, id)
	if err == nil {
		err = copier.finish(ctx)
	}
	if err != nil && ctx.Err() == nil {
		s.Log.Error("finish log", "file", copier.files.Log(), "error", err)
	}
}
