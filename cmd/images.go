package cmd

import (
	"fmt"

	"github.com/spf13/cobra"

	"podrun/cmd/output"
)

func newImages(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "images",
		Short: "List images",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			engine, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			defer engine.Close()
			images, err := engine.Images().List(cmd.Context())
			if err != nil {
				return err
			}
			var rows [][]string
			for _, image := range images {
				rows = append(rows, []string{image.Name, fmt.Sprintf("%.19s", image.Digest), output.Size(image.Size)})
			}
			return output.Table(a.Out, []string{"IMAGE", "DIGEST", "SIZE"}, rows)
		},
	}
}
