package cmd

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"podrun/container/stack"
)

func newStack(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "stack",
		Short: "Look at, start or stop podrun's own containerd",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		a.stackVerb("status", "Show the containerd in use", a.stackStatus),
		a.stackVerb("start", "Start podrun's own containerd", func(ctx context.Context, config stack.Config) error {
			_, err := stack.Open(ctx, config)
			return err
		}),
		a.stackVerb("stop", "Stop podrun's own containerd; pods go on running", stack.Stop),
	)
	return cmd
}

func (a *app) stackVerb(name, short string, run func(context.Context, stack.Config) error) *cobra.Command {
	return &cobra.Command{
		Use:   name,
		Short: short,
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := a.config()
			if err != nil {
				return err
			}
			return run(cmd.Context(), config.Stack())
		},
	}
}

func (a *app) stackStatus(ctx context.Context, config stack.Config) error {
	status, err := stack.Inspect(ctx, config)
	if err != nil {
		return err
	}
	state := "stopped"
	if status.Running {
		state = "running"
	}
	rows := [][2]string{{"state", state}, {"address", status.Address}}
	if status.Running {
		rows = append(rows, [2]string{"version", status.Version}, [2]string{"pid", fmt.Sprint(status.PID)})
	}
	if status.Bundled {
		rows = append(rows, [2]string{"root", status.Root}, [2]string{"bundle", status.Digest})
	}
	for _, row := range rows {
		fmt.Fprintf(a.Out, "%-8s %s\n", row[0], row[1])
	}
	return nil
}
