package cmd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"podrun/container/stack"
	"podrun/pod"
	"podrun/pod/manifest"
)

// The exit codes.
const (
	exitDone     = 0
	exitFailed   = 1 // podrun or something below it failed
	exitUsage    = 2 // the request is wrong, nothing was changed
	exitWorkload = 3 // the workload failed
	exitTimeout  = 4 // time ran out
)

// Interrupted is the cause of a context that a signal ended.
type Interrupted struct{ Signal syscall.Signal }

func (i Interrupted) Error() string { return i.Signal.String() }

// usageError is a wrong request.
type usageError struct{ error }

// codeError is the exit code of a user's own process, to be handed on. The
// error in it may be nil.
type codeError struct {
	code int
	err  error
}

func (e codeError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

var (
	errNotRoot = errors.New("podrun needs root: it makes namespaces, mounts and networks")
	errTimeout = errors.New("time ran out")
)

// hints say what to do about an error.
var hints = []struct {
	err  error
	hint string
}{
	{errNotRoot, "run it as root, with sudo for example"},
	{stack.ErrNotRunning, "start containerd, name another one with --containerd, or use a build of podrun that carries its own"},
	{pod.ErrNotFound, "podrun ps lists the pods there are; -n names another namespace"},
	{pod.ErrNotRunning, "podrun ps tells its state, podrun logs what it printed"},
	{pod.ErrNotUp, "podrun ps tells its state"},
}

// moment bounds how far clocks on one machine are apart.
const moment = time.Second

// inTime makes an error that came because a command's own time ran out say so.
// Others have their own limits, which are failures. A daemon that was told how
// much time there is may find it over a moment before we do.
func inTime(ctx context.Context, err error) error {
	if deadline, ok := ctx.Deadline(); ok && errors.Is(err, context.DeadlineExceeded) && time.Until(deadline) < moment {
		<-ctx.Done()
	}
	if err != nil && errors.Is(context.Cause(ctx), errTimeout) && !errors.Is(err, errTimeout) {
		return fmt.Errorf("%w: %w", errTimeout, err)
	}
	return err
}

// explain turns the end of a command into what is printed, which may be
// nothing, and the exit code.
func explain(err, cause error) (message string, code int) {
	if err == nil {
		return "", exitDone
	}
	var own codeError
	if errors.As(err, &own) && own.err == nil {
		return "", own.code
	}
	if problems, ok := err.(manifest.Problems); ok {
		return problems.Error(), exitUsage
	}
	return "podrun: " + err.Error() + lastLines(err) + hintFor(err), codeOf(err, cause)
}

// lastLines are the last that the container wrote by which a pod failed.
func lastLines(err error) string {
	var failed *pod.FailedError
	if !errors.As(err, &failed) || len(failed.Log) == 0 {
		return ""
	}
	text := fmt.Sprintf("\nthe last lines of container %q:", failed.Container)
	for _, line := range failed.Log {
		text += "\n  " + line
	}
	return text
}

func hintFor(err error) string {
	var differs *pod.DiffersError
	if errors.As(err, &differs) && strings.HasPrefix(differs.Name, "pod/") {
		return "\nhint: --replace removes the pod and makes it anew"
	}
	var used *pod.InUseError
	if errors.As(err, &used) && strings.HasPrefix(used.Name, "image/") {
		return "\nhint: --force removes it all the same"
	}
	for _, h := range hints {
		if errors.Is(err, h.err) {
			return "\nhint: " + h.hint
		}
	}
	return ""
}

func codeOf(err, cause error) int {
	var interrupted Interrupted
	var usage usageError
	var own codeError
	var differs *pod.DiffersError
	var problems manifest.Problems
	var failed *pod.FailedError
	switch {
	case errors.As(cause, &interrupted):
		return 128 + int(interrupted.Signal)
	case errors.As(err, &usage), errors.As(err, &differs), errors.As(err, &problems), errors.Is(err, pod.ErrNoContainer), errors.Is(err, pod.ErrNoPort), errors.Is(err, pod.ErrNoInput), errors.Is(err, pod.ErrInvalid):
		return exitUsage
	case errors.As(err, &own):
		return own.code
	case errors.As(err, &failed):
		return exitWorkload
	case errors.Is(err, errTimeout):
		return exitTimeout
	}
	return exitFailed
}

// usagef makes a wrong request of a message.
func usagef(format string, args ...any) error {
	return usageError{fmt.Errorf(strings.TrimSpace(format), args...)}
}
