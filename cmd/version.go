package cmd

import (
	"fmt"

	"github.com/spf13/cobra"

	"podrun/bundle"
)

// version is set when the program is built.
var version = "devel"

func newVersion(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of podrun and of what it carries",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			fmt.Fprintf(a.Out, "podrun %s\n", version)
			for _, part := range bundle.Versions() {
				fmt.Fprintln(a.Out, part)
			}
			return nil
		},
	}
}
