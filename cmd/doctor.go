package cmd

import (
	"fmt"

	"github.com/spf13/cobra"

	"podrun/pod"
)

func newDoctor(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Check whether this machine can run pods",
		Long:  "Check whether this machine can run pods: a line for each thing, with the mend where one is needed.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := a.settings()
			if err != nil {
				return err
			}
			ill := 0
			for _, finding := range pod.Examine(cmd.Context(), config) {
				mark := "ok  "
				if finding.Mend != "" {
					mark = "FAIL"
					ill++
				}
				fmt.Fprintf(a.Out, "%s  %-10s %s\n", mark, finding.Name, finding.Detail)
				if finding.Mend != "" {
					fmt.Fprintf(a.Out, "      %-10s mend: %s\n", "", finding.Mend)
				}
			}
			if ill > 0 {
				return fmt.Errorf("check the machine: %d of its parts need a mend", ill)
			}
			return nil
		},
	}
}
