package cmd

import (
	"time"

	"github.com/spf13/cobra"

	"podrun/container/logs"
)

func newLogs(a *app) *cobra.Command {
	var name string
	var options logs.Options
	var since time.Duration
	cmd := &cobra.Command{
		Use:   "logs POD",
		Short: "Print what a container has written",
		Example: `  podrun logs web
  podrun logs web -c sidecar -f --tail 10`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if since > 0 {
				options.Since = time.Now().Add(-since)
			}
			engine, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			defer engine.Close()
			return engine.Logs(cmd.Context(), a.ref(args[0]), name, options, a.Out, a.Err)
		},
	}
	cmd.Flags().StringVarP(&name, "container", "c", "", "container; the first one when none is named")
	cmd.Flags().BoolVarP(&options.Follow, "follow", "f", false, "go on until the container has ended")
	cmd.Flags().IntVar(&options.Tail, "tail", -1, "only that many lines at the end; negative for all")
	cmd.Flags().DurationVar(&since, "since", 0, "only what is not older than this")
	cmd.Flags().BoolVar(&options.Timestamps, "timestamps", false, "begin each line with its time")
	cmd.Flags().Int64Var(&options.LimitBytes, "limit-bytes", 0, "end after that many bytes")
	return cmd
}
