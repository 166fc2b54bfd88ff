package cmd

import (
	"time"

	"github.com/spf13/cobra"

	"podrun/pod"
)

// logsFlags are the flags of logs.
type logsFlags struct {
	options   pod.LogOptions
	since     time.Duration
	sinceTime string
}

func newLogs(a *app) *cobra.Command {
	var flags logsFlags
	cmd := &cobra.Command{
		Use:   "logs POD",
		Short: "Print what a container has written",
		Long: `Print what a container has written: its standard output to standard output,
its standard error to standard error. When no container is named it is the
first one, or the one that the annotation kubectl.kubernetes.io/default-container
names.

With --follow it goes on until the container has ended for good.`,
		Example: `  podrun logs web
  podrun logs web -c sidecar -f --tail 10
  podrun logs web --all-containers --prefix --since 5m`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.logs(cmd, args[0], flags) },
	}
	options := &flags.options
	cmd.Flags().StringVarP(&options.Container, "container", "c", "", "container; the first one when none is named")
	cmd.Flags().BoolVar(&options.All, "all-containers", false, "all containers of the pod, init containers too")
	cmd.Flags().BoolVarP(&options.Follow, "follow", "f", false, "go on until the container has ended")
	cmd.Flags().IntVar(&options.Tail, "tail", -1, "only that many lines at the end; negative for all")
	cmd.Flags().DurationVar(&flags.since, "since", 0, "only what is not older than this")
	cmd.Flags().StringVar(&flags.sinceTime, "since-time", "", "only what was written at or after this time, as in 2026-01-02T15:04:05Z")
	cmd.Flags().Int64Var(&options.LimitBytes, "limit-bytes", 0, "end after that many bytes of each container")
	cmd.Flags().BoolVar(&options.Timestamps, "timestamps", false, "begin each line with its time")
	cmd.Flags().BoolVarP(&options.Previous, "previous", "p", false, "the instance before the present one")
	cmd.Flags().BoolVar(&options.Named, "prefix", false, "begin each line with the names of the pod and the container")
	return cmd
}

func (a *app) logs(cmd *cobra.Command, name string, flags logsFlags) error {
	options := flags.options
	switch {
	case options.All && options.Container != "":
		return usagef("--container and --all-containers exclude each other")
	case options.LimitBytes < 0:
		return usagef("--limit-bytes %d: negative", options.LimitBytes)
	case flags.since != 0 && flags.sinceTime != "":
		return usagef("--since and --since-time exclude each other")
	case flags.since < 0:
		return usagef("--since %s: negative", flags.since)
	case flags.since > 0:
		options.Since = time.Now().Add(-flags.since)
	case flags.sinceTime != "":
		since, err := time.Parse(time.RFC3339, flags.sinceTime)
		if err != nil {
			return usagef("--since-time %q: not a time such as 2026-01-02T15:04:05Z", flags.sinceTime)
		}
		options.Since = since
	}
	engine, err := a.open(cmd.Context())
	if err != nil {
		return err
	}
	defer engine.Close()
	return engine.Logs(cmd.Context(), a.ref(name), options, a.Out, a.Err)
}
