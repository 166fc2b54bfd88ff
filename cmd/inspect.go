package cmd

import (
	"time"

	"github.com/spf13/cobra"
	v1 "k8s.io/api/core/v1"

	"podrun/cmd/output"
)

func newInspect(a *app) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:     "inspect POD...",
		Short:   "Show pods as Kubernetes objects, status included",
		Example: "  podrun inspect web -o json",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			parsed, err := output.ParseFormat(format, output.YAML, output.JSON)
			if err != nil {
				return usageError{err}
			}
			engine, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			defer engine.Close()
			var pods []v1.Pod
			for _, name := range args {
				pod, err := engine.Inspect(cmd.Context(), a.ref(name))
				if err != nil {
					return err
				}
				pods = append(pods, *pod)
			}
			if len(pods) == 1 {
				return output.Pod(a.Out, &pods[0], parsed)
			}
			return output.Pods(a.Out, pods, parsed, time.Now())
		},
	}
	cmd.Flags().StringVarP(&format, "output", "o", "yaml", "yaml or json")
	return cmd
}
