package cmd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	v1 "k8s.io/api/core/v1"

	"podrun/cmd/output"
	"podrun/container/image"
	"podrun/pod"
)

// debugFlags are the flags of debug.
type debugFlags struct {
	name, image, target, pull string
	env                       []string
	stdin, tty                bool
	progress                  string
	timeout                   time.Duration
}

func newDebug(a *app) *cobra.Command {
	var flags debugFlags
	cmd := &cobra.Command{
		Use:   "debug POD --image IMAGE [--target NAME] [-it] -- CMD...",
		Short: "Run an ephemeral container in a running pod",
		Long: `Add an ephemeral container to a running pod, print its name and return when it
has started. It shares the network of the pod and, with --target, the processes
of one of its containers, whose files it finds below /proc/1/root. It runs once
and counts for nothing in the life of its pod, with which it is removed. Without
CMD it runs what its image does.

With -i or -it it is connected with as by attach, its output from the beginning
on, and its exit code is podrun's. Its input ends with that of podrun.`,
		Example: `  podrun debug web -it --image busybox --target server -- sh
  podrun debug web --image netshoot -c capture -- tcpdump -i any`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.debugPod(cmd.Context(), args, flags) },
	}
	cmd.Flags().StringVar(&flags.image, "image", "", "image of the container")
	cmd.Flags().StringVarP(&flags.name, "container", "c", "", "its name; debugger- and five characters when none is given")
	cmd.Flags().StringVar(&flags.target, "target", "", "container whose processes it shares")
	cmd.Flags().BoolVarP(&flags.stdin, "stdin", "i", false, "connect with it, and hand on standard input")
	cmd.Flags().BoolVarP(&flags.tty, "tty", "t", false, "with -i: give it a terminal")
	cmd.Flags().StringArrayVarP(&flags.env, "env", "e", nil, "a variable of its environment, K=V; may be repeated")
	cmd.Flags().StringVar(&flags.pull, "pull", "", "when to pull the image: always, missing or never (default: always for :latest or no tag, else missing)")
	cmd.Flags().DurationVar(&flags.timeout, "timeout", defaultTimeout, "give up when it has not started after this time")
	cmd.Flags().StringVar(&flags.progress, "progress", string(output.Auto), "auto, plain or none")
	return cmd
}

// container is the one that is asked for.
func (f debugFlags) container(command []string) (c v1.EphemeralContainer, err error) {
	if f.image == "" {
		return c, usagef("--image is missing")
	}
	if _, err := image.Normalize(f.image); err != nil {
		return c, usageError{err}
	}
	if f.tty && !f.stdin {
		return c, usagef("-t needs -i")
	}
	c.TargetContainerName = f.target
	c.Name, c.Image, c.Command = f.name, f.image, command
	c.Stdin, c.StdinOnce, c.TTY = f.stdin, f.stdin, f.tty
	env, wrongEnv := parseEnv(f.env)
	policy, wrongPolicy := pullPolicy(f.pull)
	c.Env, c.ImagePullPolicy = env, policy
	return c, errors.Join(wrongEnv, wrongPolicy)
}

func (a *app) debugPod(ctx context.Context, args []string, flags debugFlags) error {
	c, err := flags.container(args[1:])
	if err == nil && flags.tty && !a.fromTerminal() {
		err = errNoTerminal
	}
	if err != nil {
		return err
	}
	shown, err := a.newUpProgress(flags.progress)
	if err != nil {
		return err
	}
	defer shown.progress.Close()
	engine, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer engine.Close()
	debugger, err := shown.debug(ctx, engine, a.ref(args[0]), c, flags.timeout)
	if err != nil {
		return err
	}
	defer debugger.Close()
	shown.progress.Close() // the screen is the container's from here on
	if !flags.stdin {
		fmt.Fprintln(a.Out, debugger.Name)
		return nil
	}
	return a.talk(ctx, debugger, flags.tty)
}

// debug starts an ephemeral container, and shows that as a step.
func (u *upProgress) debug(ctx context.Context, engine *pod.Engine, ref pod.Ref, c v1.EphemeralContainer, timeout time.Duration) (*pod.Debugger, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, errTimeout)
	defer cancel()
	step, begin := "", time.Now()
	debugger, err := engine.Debug(ctx, ref, c, func(name string) {
		step = "container " + output.Quote(name) + " of pod " + output.Quote(ref.Name)
		u.progress.Start(step)
	})
	switch {
	case err == nil:
		u.progress.Done(step, time.Since(begin))
	case step != "":
		u.progress.Fail(step)
	}
	return debugger, inTime(ctx, err)
}

// talk connects the user with an ephemeral container until it ends.
func (a *app) talk(ctx context.Context, debugger *pod.Debugger, tty bool) error {
	attachment := pod.Attachment{Stdin: a.In, Stdout: a.Out, Stderr: a.Err}
	if tty {
		sizes, restore, err := a.raw(ctx)
		if err != nil {
			return err
		}
		defer restore()
		attachment.Resize = sizes
	}
	code, err := debugger.Attach(ctx, attachment)
	if err == nil && code != 0 {
		return codeError{code: code}
	}
	return err
}
