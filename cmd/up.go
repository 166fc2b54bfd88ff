package cmd

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/spf13/cobra"
	v1 "k8s.io/api/core/v1"

	"podrun/cmd/output"
	"podrun/pod"
	"podrun/pod/manifest"
	"podrun/pod/plan"
	"podrun/pod/supervise"
)

// upFlags are the flags of up.
type upFlags struct {
	options  pod.UpOptions
	timeout  time.Duration
	pull     string
	dryRun   bool
	format   string
	progress string
}

func newUp(a *app) *cobra.Command {
	var flags upFlags
	cmd := &cobra.Command{
		Use:   "up MANIFEST...",
		Short: "Bring about what manifests say",
		Long: `Bring about what manifests say, and return when every pod has started. When
one cannot, what this call created is removed again.

A MANIFEST is a file, a directory (its *.yaml, *.yml and *.json), or "-".`,
		Example: `  podrun up web.yaml
  podrun up -d manifests/ --timeout 1m
  podrun up --replace -o json web.yaml`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.up(cmd, args, flags) },
	}
	cmd.Flags().BoolVarP(&flags.options.Detach, "detach", "d", false, "return as soon as the pods are accepted; what fails is tried again")
	cmd.Flags().BoolVar(&flags.options.Replace, "replace", false, "remove a pod and make it anew when it cannot be changed")
	cmd.Flags().BoolVar(&flags.options.Keep, "keep", false, "leave a pod that cannot start in place, for study")
	cmd.Flags().StringVar(&flags.options.PauseImage, "pause-image", os.Getenv("PODRUN_PAUSE_IMAGE"), "image of pause containers instead of podrun's own (PODRUN_PAUSE_IMAGE)")
	cmd.Flags().DurationVar(&flags.timeout, "timeout", 5*time.Minute, "give up after this time")
	cmd.Flags().StringVar(&flags.pull, "pull", "", "when to pull images, whatever the manifest says: always, missing or never")
	cmd.Flags().BoolVar(&flags.dryRun, "dry-run", false, "say what would be done, touch nothing")
	cmd.Flags().StringVarP(&flags.format, "output", "o", "", "name, json or yaml")
	cmd.Flags().StringVar(&flags.progress, "progress", string(output.Auto), "auto, plain or none")
	return cmd
}

func (a *app) up(cmd *cobra.Command, args []string, flags upFlags) error {
	format, err := output.ParseFormat(flags.format, output.Short, output.Name, output.JSON, output.YAML)
	if err != nil {
		return usageError{err}
	}
	loaded, err := a.load(cmd, args)
	if err != nil {
		return err
	}
	if err := overridePull(loaded, flags.pull); err != nil {
		return err
	}
	shown, err := a.newUpProgress(flags.progress)
	if err != nil {
		return err
	}
	defer shown.progress.Close()

	ctx, cancel := context.WithTimeoutCause(cmd.Context(), flags.timeout, errTimeout)
	defer cancel()
	if flags.dryRun {
		return a.dryRun(ctx, loaded.Pods, flags.options)
	}
	engine, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer engine.Close()
	flags.options.Progress = shown.tell
	if format == output.Short {
		flags.options.Changed = func(p *v1.Pod, change pod.Change) { fmt.Fprintf(a.Out, "pod/%s %s\n", p.Name, change) }
	}
	pods, err := engine.Up(ctx, loaded.Pods, flags.options)
	shown.progress.Close()
	if err != nil || format == output.Short {
		return inTime(ctx, err)
	}
	return output.Pods(a.Out, pods, format, time.Now())
}

// overridePull applies --pull.
func overridePull(loaded *manifest.Manifest, when string) error {
	policies := map[string]v1.PullPolicy{"always": v1.PullAlways, "missing": v1.PullIfNotPresent, "never": v1.PullNever}
	policy, ok := policies[when]
	if when == "" {
		return nil
	}
	if !ok {
		return usagef("--pull %q: not always, missing or never", when)
	}
	for _, p := range loaded.Pods {
		for i := range p.Spec.Containers {
			p.Spec.Containers[i].ImagePullPolicy = policy
		}
	}
	return nil
}

// dryRun prints what up would do with each pod.
func (a *app) dryRun(ctx context.Context, pods []*v1.Pod, options pod.UpOptions) error {
	engine, err := a.find(ctx)
	if err != nil {
		return err
	}
	if engine == nil { // there are no pods at all
		for _, p := range pods {
			fmt.Fprintf(a.Out, "pod/%s %s (dry run)\n", p.Name, pod.Created)
		}
		return nil
	}
	defer engine.Close()
	for _, p := range pods {
		change, err := engine.WouldChange(ctx, p, options)
		if err != nil {
			return err
		}
		fmt.Fprintf(a.Out, "pod/%s %s (dry run)\n", p.Name, change)
	}
	return nil
}

// upProgress shows what supervisors do as steps.
type upProgress struct {
	progress *output.Progress
	mu       sync.Mutex
	begun    map[string]time.Time
	layers   map[string]map[string][2]int64 // bytes of each layer, by step
}

func (a *app) newUpProgress(mode string) (*upProgress, error) {
	switch output.Mode(mode) {
	case output.Auto, output.Plain, output.None:
	default:
		return nil, usagef("--progress %q: not auto, plain or none", mode)
	}
	return &upProgress{
		progress: output.NewProgress(a.Err, output.Mode(mode), os.Getenv("NO_COLOR") != ""),
		begun:    map[string]time.Time{},
		layers:   map[string]map[string][2]int64{},
	}, nil
}

// tell shows the progress of one action of a pod's supervisor.
func (u *upProgress) tell(p *v1.Pod, progress supervise.Progress) {
	text := stepText(p, progress.Action)
	if text == "" {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	switch progress.State {
	case supervise.Begun:
		u.begun[text] = time.Now()
		u.progress.Start(text)
	case supervise.Going:
		current, total := u.add(text, progress.Layer, progress.Current, progress.Total)
		u.progress.Bytes(text, current, total)
	case supervise.Ended:
		if progress.Error != nil {
			u.progress.Fail(text)
			return
		}
		u.progress.Done(text, time.Since(u.begun[text]))
	}
}

// add takes in how far one layer is, and returns how far all are.
func (u *upProgress) add(text, layer string, current, total int64) (allCurrent, allTotal int64) {
	if u.layers[text] == nil {
		u.layers[text] = map[string][2]int64{}
	}
	u.layers[text][layer] = [2]int64{current, total}
	for _, bytes := range u.layers[text] {
		allCurrent += bytes[0]
		allTotal += bytes[1]
	}
	return allCurrent, allTotal
}

// stepText is what people read of an action, empty for those that they need
// not know of.
func stepText(p *v1.Pod, action plan.Action) string {
	switch action.Kind {
	case plan.EnsureImage:
		return "image " + output.Quote(action.Image.Ref)
	case plan.CreateSandbox:
		return "sandbox of pod " + output.Quote(p.Name)
	case plan.StartContainer:
		return "container " + output.Quote(action.Container) + " of pod " + output.Quote(p.Name)
	}
	return ""
}
