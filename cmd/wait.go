package cmd

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"podrun/pod"
	"podrun/pod/status"
)

func newWait(a *app) *cobra.Command {
	var goal string
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "wait POD...",
		Short: "Wait until pods have come to something",
		Long: `Wait until each pod has come to what --for says:

  started             each of its containers has started once
  ready               it is Ready
  completed           all of its containers have succeeded
  deleted             nothing of it is left
  condition=TYPE      a condition is True, or =STATUS: True, False or Unknown

The exit code is 3 as soon as a pod can no longer come to that, since it has
failed or ended or an image cannot be had; the reason is printed with the last
lines that the container wrote which is to blame. It is 4 when time runs out.`,
		Example: `  podrun wait web
  podrun wait job --for completed --timeout 10m
  podrun wait web --for condition=Ready=False`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			parsed, err := status.ParseGoal(goal)
			if err != nil {
				return usagef("--for %v", err)
			}
			ctx, cancel := context.WithTimeoutCause(cmd.Context(), timeout, errTimeout)
			defer cancel()
			return inTime(ctx, a.wait(ctx, args, parsed))
		},
	}
	cmd.Flags().StringVar(&goal, "for", string(status.GoalReady), "started, ready, completed, deleted or condition=TYPE[=STATUS]")
	cmd.Flags().DurationVar(&timeout, "timeout", defaultTimeout, "give up after this time")
	return cmd
}

// defaultTimeout bounds what a verb waits for.
const defaultTimeout = 5 * time.Minute

// wait waits until all pods have come to a goal, or one cannot.
func (a *app) wait(ctx context.Context, names []string, goal status.Goal) error {
	engine, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer engine.Close()
	group, ctx := errgroup.WithContext(ctx)
	for _, name := range names {
		group.Go(func() error { return engine.Wait(ctx, a.ref(name), goal) })
	}
	return group.Wait()
}

// each does something with several pods side by side.
func (a *app) each(ctx context.Context, names []string, do func(context.Context, *pod.Engine, pod.Ref) error) error {
	engine, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer engine.Close()
	var group sync.WaitGroup
	errs := make([]error, len(names))
	for i, name := range names {
		group.Go(func() { errs[i] = do(ctx, engine, a.ref(name)) })
	}
	group.Wait()
	return errors.Join(errs...)
}

// done prints what was done with a pod.
func (a *app) done(ref pod.Ref, what string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	fmt.Fprintf(a.Out, "pod/%s %s\n", ref.Name, what)
}
