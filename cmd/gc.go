package cmd

import (
	"fmt"

	"github.com/spf13/cobra"
)

func newGC(a *app) *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "gc",
		Short: "Remove what no pod owns, as a crash or a reboot may leave it",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			engine, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			defer engine.Close()
			found, err := engine.GC(cmd.Context(), dryRun)
			done := "removed"
			if dryRun {
				done = "found"
			}
			for _, what := range found {
				fmt.Fprintf(a.Out, "%s %s\n", what, done)
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "list only")
	return cmd
}
