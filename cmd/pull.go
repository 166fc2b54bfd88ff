package cmd

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"podrun/cmd/output"
	"podrun/container/image"
)

func newPull(a *app) *cobra.Command {
	var mode string
	cmd := &cobra.Command{
		Use:     "pull IMAGE...",
		Short:   "Pull images from their registries",
		Example: "  podrun pull busybox localhost:5000/app:1",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, ref := range args {
				if _, err := image.Normalize(ref); err != nil {
					return usageError{err}
				}
			}
			shown, err := a.newUpProgress(mode)
			if err != nil {
				return err
			}
			defer shown.progress.Close()
			engine, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			defer engine.Close()
			for _, ref := range args {
				if err := shown.pull(cmd, engine.Images(), ref); err != nil {
					return err
				}
				fmt.Fprintf(a.Out, "image/%s pulled\n", ref)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&mode, "progress", string(output.Auto), "auto, plain or none")
	return cmd
}

func (u *upProgress) pull(cmd *cobra.Command, images *image.Store, ref string) error {
	step := "image " + output.Quote(ref)
	begin := time.Now()
	u.progress.Start(step)
	_, err := images.Pull(cmd.Context(), ref, func(p image.Progress) {
		u.mu.Lock()
		defer u.mu.Unlock()
		current, total := u.add(step, p.Layer, p.Current, p.Total)
		u.progress.Bytes(step, current, total)
	})
	if err != nil {
		u.progress.Fail(step)
		return err
	}
	u.progress.Done(step, time.Since(begin))
	return nil
}
