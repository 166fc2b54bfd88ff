package cmd

import (
	"time"

	"github.com/spf13/cobra"

	"podrun/cmd/output"
)

func newDescribe(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "describe POD",
		Short: "Tell a person what a pod does and, if it is not well, why",
		Long: `Tell a person what a pod does, since when, and what happened to it. If it is not
well, the first lines say why: what a container waits for, how it ended, what its
probe said, and the last lines that it printed.`,
		Example: "  podrun describe web",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			engine, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			defer engine.Close()
			described, err := engine.Describe(cmd.Context(), a.ref(args[0]))
			if err != nil {
				return err
			}
			return output.Describe(a.Out, output.Description(*described), time.Now())
		},
	}
}
