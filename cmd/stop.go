package cmd

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"podrun/pod"
)

// stopFlags are the flags of the verbs that stop and start pods.
type stopFlags struct {
	grace   int64
	timeout time.Duration
}

func (f *stopFlags) bindGrace(cmd *cobra.Command) {
	cmd.Flags().Int64Var(&f.grace, "grace-period", -1, "seconds that containers get to end; negative for the pod's own")
}

func (f *stopFlags) bindTimeout(cmd *cobra.Command) {
	cmd.Flags().DurationVar(&f.timeout, "timeout", defaultTimeout, "give up after this time")
}

// period is the grace that was asked for, nil for the pod's own.
func (f *stopFlags) period() *int64 {
	if f.grace < 0 {
		return nil
	}
	return &f.grace
}

func newStop(a *app) *cobra.Command {
	var flags stopFlags
	cmd := &cobra.Command{
		Use:   "stop POD...",
		Short: "Stop pods; what they are made from stays",
		Long: `End the containers of pods gracefully. Their records, volumes and logs stay, for
podrun start.`,
		Example: "  podrun stop web --grace-period 5",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.eachInTime(cmd, args, flags, "stopped", func(ctx context.Context, engine *pod.Engine, ref pod.Ref) error {
				return engine.Stop(ctx, ref, flags.period())
			})
		},
	}
	flags.bindGrace(cmd)
	flags.bindTimeout(cmd)
	return cmd
}

func newStart(a *app) *cobra.Command {
	var flags stopFlags
	cmd := &cobra.Command{
		Use:   "start POD...",
		Short: "Start pods that were stopped, or have ended",
		Long: `Start pods that were stopped or have ended, and return when they have started.
All of their containers begin anew, with the volumes as they are. One that runs
is left alone.`,
		Example: "  podrun start web",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.eachInTime(cmd, args, flags, "started", func(ctx context.Context, engine *pod.Engine, ref pod.Ref) error {
				return engine.Start(ctx, ref, nil)
			})
		},
	}
	flags.bindTimeout(cmd)
	return cmd
}

func newRestart(a *app) *cobra.Command {
	var flags stopFlags
	cmd := &cobra.Command{
		Use:     "restart POD...",
		Short:   "Stop pods, then start them again",
		Example: "  podrun restart web",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.eachInTime(cmd, args, flags, "restarted", func(ctx context.Context, engine *pod.Engine, ref pod.Ref) error {
				if err := engine.Stop(ctx, ref, flags.period()); err != nil {
					return err
				}
				return engine.Start(ctx, ref, nil)
			})
		},
	}
	flags.bindGrace(cmd)
	flags.bindTimeout(cmd)
	return cmd
}

// eachInTime does something with several pods side by side, and prints what was
// done with each.
func (a *app) eachInTime(cmd *cobra.Command, names []string, flags stopFlags, what string, do func(context.Context, *pod.Engine, pod.Ref) error) error {
	ctx, cancel := context.WithTimeoutCause(cmd.Context(), flags.timeout, errTimeout)
	defer cancel()
	return inTime(ctx, a.each(ctx, names, func(ctx context.Context, engine *pod.Engine, ref pod.Ref) error {
		if err := do(ctx, engine, ref); err != nil {
			return err
		}
		a.done(ref, what)
		return nil
	}))
}
