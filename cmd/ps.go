package cmd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"podrun/cmd/output"
	"podrun/container/stack"
	"podrun/pod"
)

// psFlags are the flags of ps.
type psFlags struct {
	format, selector string
	quiet, watch     bool
}

func newPs(a *app) *cobra.Command {
	var flags psFlags
	cmd := &cobra.Command{
		Use:   "ps [POD...]",
		Short: "List pods, of all namespaces unless -n names one",
		Example: `  podrun ps
  podrun ps -o wide
  podrun ps -l app=web -o json
  podrun ps --watch`,
		RunE: func(cmd *cobra.Command, args []string) error { return a.ps(cmd, args, flags) },
	}
	cmd.Flags().StringVarP(&flags.format, "output", "o", "", "wide, json, yaml or name")
	cmd.Flags().BoolVarP(&flags.quiet, "quiet", "q", false, "print names only")
	cmd.Flags().StringVarP(&flags.selector, "selector", "l", "", "only the pods with matching labels")
	cmd.Flags().BoolVarP(&flags.watch, "watch", "w", false, "go on with each pod that is new, changes or is removed, until interrupted")
	return cmd
}

func (a *app) ps(cmd *cobra.Command, names []string, flags psFlags) error {
	format, err := output.ParseFormat(flags.format, output.Short, output.Wide, output.JSON, output.YAML, output.Name)
	if err != nil {
		return usageError{err}
	}
	matches, err := labels.Parse(flags.selector)
	if err != nil {
		return usageError{err}
	}
	if flags.watch && flags.quiet {
		return usagef("--watch and --quiet exclude each other; -o name prints names")
	}
	if flags.watch {
		return a.watch(cmd.Context(), names, matches, format)
	}
	all, err := a.all(cmd)
	if err != nil {
		return err
	}
	pods := slices.DeleteFunc(all, func(p v1.Pod) bool { return !a.wanted(&p, names, matches) })
	if err := allFound(pods, names); err != nil {
		return err
	}
	if flags.quiet {
		for _, p := range pods {
			fmt.Fprintln(a.Out, p.Name)
		}
		return nil
	}
	return output.Pods(a.Out, pods, format, time.Now())
}

// watch prints pods, and then each as it changes. Those that are named must be
// there at first.
func (a *app) watch(ctx context.Context, names []string, matches labels.Selector, format output.Format) error {
	engine, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer engine.Close()
	lines := output.NewPodLines(a.Out, format)
	first := true
	wanted := func(p *v1.Pod) bool { return a.wanted(p, names, matches) }
	return engine.Watch(ctx, wanted, func(changed, gone []v1.Pod) error {
		if first {
			if err := allFound(changed, names); err != nil {
				return err
			}
			first = false
		}
		if err := lines.Write(changed, time.Now()); err != nil {
			return err
		}
		for i := range gone {
			if err := lines.Gone(&gone[i], time.Now()); err != nil {
				return err
			}
		}
		return nil
	})
}

// wanted says whether a pod is of the namespace that -n names, if it does, has
// matching labels and, when there are names, one of them.
func (a *app) wanted(p *v1.Pod, names []string, matches labels.Selector) bool {
	return (len(names) == 0 || slices.Contains(names, p.Name)) &&
		(a.namespace == "" || p.Namespace == a.namespace) && matches.Matches(labels.Set(p.Labels))
}

// allFound says which name no pod has.
func allFound(pods []v1.Pod, names []string) error {
	for _, name := range names {
		if !slices.ContainsFunc(pods, func(p v1.Pod) bool { return p.Name == name }) {
			return fmt.Errorf("%w: %q", pod.ErrNotFound, name)
		}
	}
	return nil
}

// all lists every pod.
func (a *app) all(cmd *cobra.Command) ([]v1.Pod, error) {
	engine, err := a.find(cmd.Context())
	if engine == nil || err != nil {
		return nil, err
	}
	defer engine.Close()
	return engine.List(cmd.Context())
}

// find is open for those who only look: when podrun's own containerd does not
// run, it is started only if there are pods that it may know of. Without an
// error, nil says that there are none.
func (a *app) find(ctx context.Context) (*pod.Engine, error) {
	config, err := a.config()
	if err != nil {
		return nil, err
	}
	engine, err := pod.Find(ctx, config)
	if !errors.Is(err, stack.ErrNotRunning) {
		return engine, err
	}
	if config.Containerd == "" && !pod.Any(config) {
		return nil, nil
	}
	return pod.Open(ctx, config)
}
