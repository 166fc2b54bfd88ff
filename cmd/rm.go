package cmd

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/labels"

	"podrun/pod"
)

// removal are the flags of the verbs that remove pods.
type removal struct {
	grace          int64
	force          bool
	timeout        time.Duration
	ignoreNotFound bool
}

func (r *removal) bind(cmd *cobra.Command) {
	cmd.Flags().Int64Var(&r.grace, "grace-period", -1, "seconds that containers get to end; negative for the pod's own")
	cmd.Flags().BoolVar(&r.force, "force", false, "kill at once, and go on past errors")
	cmd.Flags().DurationVar(&r.timeout, "timeout", 5*time.Minute, "give up after this time")
}

func (r removal) options() pod.RemoveOptions {
	switch {
	case r.force:
		return pod.RemoveOptions{Grace: new(int64)}
	case r.grace >= 0:
		return pod.RemoveOptions{Grace: &r.grace}
	}
	return pod.RemoveOptions{}
}

func newRm(a *app) *cobra.Command {
	var options removal
	var all bool
	var selector string
	cmd := &cobra.Command{
		Use:   "rm POD...",
		Short: "Remove pods, and everything that they have",
		Example: `  podrun rm web
  podrun rm --all --force`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if (len(args) == 0) == (!all && selector == "") {
				return usagef("name pods, or give --all or a selector")
			}
			var refs []pod.Ref
			for _, name := range args {
				refs = append(refs, a.ref(name))
			}
			if len(args) == 0 {
				found, err := a.selected(cmd, selector)
				if err != nil {
					return err
				}
				refs, options.ignoreNotFound = found, true
			}
			return a.remove(cmd, refs, options)
		},
	}
	options.bind(cmd)
	cmd.Flags().BoolVar(&all, "all", false, "remove all pods, of all namespaces unless -n names one")
	cmd.Flags().StringVarP(&selector, "selector", "l", "", "remove the pods with matching labels")
	cmd.Flags().BoolVar(&options.ignoreNotFound, "ignore-not-found", false, "a pod that is not there is no error")
	return cmd
}

// selected returns the pods of the namespace that -n names, or of all, whose
// labels match.
func (a *app) selected(cmd *cobra.Command, selector string) ([]pod.Ref, error) {
	matches, err := labels.Parse(selector)
	if err != nil {
		return nil, usageError{err}
	}
	engine, err := a.open(cmd.Context())
	if err != nil {
		return nil, err
	}
	defer engine.Close()
	return engine.Select(cmd.Context(), a.namespace, matches)
}

// remove removes pods and prints each that is gone.
func (a *app) remove(cmd *cobra.Command, refs []pod.Ref, options removal) error {
	ctx, cancel := context.WithTimeoutCause(cmd.Context(), options.timeout, errTimeout)
	defer cancel()
	engine, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer engine.Close()
	return inTime(ctx, a.removePods(ctx, engine, refs, options))
}

// removePods removes pods side by side.
func (a *app) removePods(ctx context.Context, engine *pod.Engine, refs []pod.Ref, options removal) error {
	var mu sync.Mutex
	var group sync.WaitGroup
	errs := make([]error, len(refs))
	for i, ref := range refs {
		group.Go(func() {
			err := engine.Remove(ctx, ref, options.options())
			if errors.Is(err, pod.ErrNotFound) && options.ignoreNotFound {
				return
			}
			errs[i] = err
			if err == nil {
				mu.Lock()
				defer mu.Unlock()
				fmt.Fprintf(a.Out, "pod/%s removed\n", ref.Name)
			}
		})
	}
	group.Wait()
	return errors.Join(errs...)
}
