package cmd

import (
	"fmt"

	"github.com/spf13/cobra"

	"podrun/container/image"
)

func newRmi(a *app) *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "rmi IMAGE...",
		Short: "Remove images, by name or digest",
		Long: `Remove images, each by its name or, with all its names, by its digest, of
which the beginning that images shows is enough. An image that a pod uses stays,
unless --force is given.`,
		Example: `  podrun rmi busybox localhost:5000/app:1
  podrun rmi sha256:0123456789ab`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, ref := range args {
				if _, err := image.Normalize(ref); err != nil {
					return usageError{err}
				}
			}
			engine, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			defer engine.Close()
			return engine.RemoveImages(cmd.Context(), args, force, func(name string) {
				fmt.Fprintf(a.Out, "image/%s removed\n", name)
			})
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "remove what pods use, too; their containers keep their files")
	return cmd
}
