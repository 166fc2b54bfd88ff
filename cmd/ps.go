package cmd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"podrun/cmd/output"
	"podrun/container/stack"
	"podrun/pod"
)

func newPs(a *app) *cobra.Command {
	var format, selector string
	var quiet bool
	cmd := &cobra.Command{
		Use:   "ps [POD...]",
		Short: "List pods, of all namespaces unless -n names one",
		Example: `  podrun ps
  podrun ps -o wide
  podrun ps -l app=web -o json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			parsed, err := output.ParseFormat(format, output.Short, output.Wide, output.JSON, output.YAML, output.Name)
			if err != nil {
				return usageError{err}
			}
			matches, err := labels.Parse(selector)
			if err != nil {
				return usageError{err}
			}
			pods, err := a.list(cmd, args, matches)
			if err != nil {
				return err
			}
			if quiet {
				for _, p := range pods {
					fmt.Fprintln(a.Out, p.Name)
				}
				return nil
			}
			return output.Pods(a.Out, pods, parsed, time.Now())
		},
	}
	cmd.Flags().StringVarP(&format, "output", "o", "", "wide, json, yaml or name")
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "print names only")
	cmd.Flags().StringVarP(&selector, "selector", "l", "", "only the pods with matching labels")
	return cmd
}

// list returns the pods of the namespace that -n names, or of all, with
// matching labels; when there are names, those pods, and each must be there.
func (a *app) list(cmd *cobra.Command, names []string, matches labels.Selector) ([]v1.Pod, error) {
	all, err := a.all(cmd)
	if err != nil {
		return nil, err
	}
	wanted := map[string]bool{}
	for _, name := range names {
		wanted[name] = true
	}
	found := []v1.Pod{}
	for _, p := range all {
		if len(names) > 0 && !wanted[p.Name] || a.namespace != "" && p.Namespace != a.namespace {
			continue
		}
		if matches.Matches(labels.Set(p.Labels)) {
			found = append(found, p)
			delete(wanted, p.Name)
		}
	}
	for _, name := range names {
		if wanted[name] {
			return nil, fmt.Errorf("%w: %q", pod.ErrNotFound, name)
		}
	}
	return found, nil
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
