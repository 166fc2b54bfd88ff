package cmd

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
)

func newLoad(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "load FILE|-",
		Short: "Load images from an OCI or docker archive",
		Example: `  podrun load image.tar
  docker save app | podrun load -`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var archive io.Reader = a.In
			if args[0] != "-" {
				file, err := os.Open(args[0])
				if err != nil {
					return usageError{err}
				}
				defer file.Close()
				archive = file
			}
			engine, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			defer engine.Close()
			images, err := engine.Images().Load(cmd.Context(), archive)
			for _, image := range images {
				fmt.Fprintf(a.Out, "image/%s loaded\n", image.Name)
			}
			if err != nil {
				return fmt.Errorf("load %s: %w", args[0], err)
			}
			return nil
		},
	}
}
