package cmd

import (
	"context"

	"github.com/spf13/cobra"

	"podrun/pod"
)

func newAttach(a *app) *cobra.Command {
	var name string
	var interactive bool
	cmd := &cobra.Command{
		Use:   "attach POD [-c NAME] [-i]",
		Short: "Connect with the main process of a container",
		Long: `Print what the main process of a running container writes from now on, until it
ends. With -i it reads what is typed; a container with tty: true then has the
terminal that podrun is called from.`,
		Example: "  podrun attach -i shell",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			engine, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			defer engine.Close()
			attachment := pod.Attachment{Stdout: a.Out, Stderr: a.Err}
			if interactive {
				attachment.Stdin = a.In
				restore, err := a.shareTerminal(cmd.Context(), engine, a.ref(args[0]), name, &attachment)
				if err != nil {
					return err
				}
				defer restore()
			}
			return engine.Attach(cmd.Context(), a.ref(args[0]), name, attachment)
		},
	}
	cmd.Flags().StringVarP(&name, "container", "c", "", "container; the first one when none is named")
	cmd.Flags().BoolVarP(&interactive, "stdin", "i", false, "hand on standard input")
	return cmd
}

// shareTerminal makes the user's terminal that of the container, if both have
// one.
func (a *app) shareTerminal(ctx context.Context, engine *pod.Engine, ref pod.Ref, name string, attachment *pod.Attachment) (restore func(), err error) {
	restore = func() {}
	if !a.fromTerminal() {
		return restore, nil
	}
	terminal, err := engine.HasTerminal(ctx, ref, name)
	if err != nil || !terminal {
		return restore, err
	}
	attachment.Resize, restore, err = a.raw(ctx)
	return restore, err
}
