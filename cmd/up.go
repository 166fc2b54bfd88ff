package cmd

import (
	"context"
	"errors"
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
	"podrun/pod/status"
	"podrun/pod/supervise"
)

// upFlags are the flags of up.
type upFlags struct {
	options  pod.UpOptions
	timeout  time.Duration
	pull     string
	dryRun   bool
	attach   bool
	remove   bool
	format   string
	progress string
}

func newUp(a *app) *cobra.Command {
	var flags upFlags
	cmd := &cobra.Command{
		Use:   "up MANIFEST...",
		Short: "Bring about what manifests say",
		Long: `Bring about what manifests say, and return when every pod has started. When
one cannot, or is not Ready in time with --wait, what this call created is
removed again, and objects that it changed are put back. A pod that fails after
it has started is left in place, unless --rm is given. What exists and differs
is changed as far as Kubernetes lets it be changed; anything else is refused
before anything is touched.

` + manifestHelp,
		Example: `  podrun up web.yaml
  podrun up -d manifests/ --timeout 1m
  podrun up --replace -o json web.yaml`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.up(cmd, args, flags) },
	}
	a.bindManifests(cmd)
	a.bindMachine(cmd)
	cmd.Flags().BoolVarP(&flags.options.Detach, "detach", "d", false, "return as soon as the pods are accepted; what fails is tried again")
	cmd.Flags().BoolVar(&flags.options.Wait, "wait", false, "return when every pod is Ready or has succeeded; exit code 3 as soon as one has failed")
	cmd.Flags().BoolVarP(&flags.attach, "attach", "a", false, "print what the containers print until the pods end, with the exit code of the first that failed; an interrupt stops them")
	cmd.Flags().BoolVar(&flags.remove, "rm", false, "with --wait or --attach: remove the pods before returning")
	cmd.Flags().BoolVar(&flags.options.Replace, "replace", false, "remove a pod and make it anew when it cannot be changed")
	cmd.Flags().BoolVar(&flags.options.Keep, "keep", false, "leave a pod that cannot start in place, for study")
	cmd.Flags().StringVar(&flags.options.PauseImage, "pause-image", os.Getenv("PODRUN_PAUSE_IMAGE"), "image of pause containers instead of podrun's own (PODRUN_PAUSE_IMAGE)")
	cmd.Flags().DurationVar(&flags.timeout, "timeout", 5*time.Minute, "give up after this time; --attach does not, unless it is given")
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
	if err := errors.Join(flags.check(), overridePull(loaded, flags.pull)); err != nil {
		return err
	}
	shown, err := a.newUpProgress(flags.progress)
	if err != nil {
		return err
	}
	defer shown.progress.Close()

	ctx := cmd.Context()
	if !flags.attach || cmd.Flags().Changed("timeout") {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, flags.timeout, errTimeout)
		defer cancel()
	}
	if flags.dryRun {
		return a.dryRun(ctx, loaded, flags.options)
	}
	engine, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer engine.Close()
	flags.options.Progress = shown.tell
	if format == output.Short {
		flags.options.Changed = func(name string, change pod.Change) { fmt.Fprintln(a.Out, name, change) }
	}
	var pods []v1.Pod
	if flags.attach {
		err = a.upAttached(ctx, engine, loaded, flags.options)
	} else {
		pods, err = engine.Up(ctx, loaded, flags.options)
	}
	shown.progress.Close()
	if flags.remove {
		if left := removeAll(context.WithoutCancel(ctx), engine, loaded.Pods); left != nil {
			return left
		}
	}
	if err != nil || format == output.Short || flags.attach {
		return inTime(ctx, err)
	}
	return output.Pods(a.Out, pods, format, time.Now())
}

// check refuses flags that do not go together.
func (f upFlags) check() error {
	switch {
	case f.options.Detach && (f.options.Wait || f.attach):
		return usagef("--detach goes with neither --wait nor --attach")
	case f.attach && f.format != "":
		return usagef("--attach and --output exclude each other")
	case f.remove && !f.attach && !f.options.Wait:
		return usagef("--rm needs --wait or --attach")
	}
	return nil
}

// removeTimeout bounds the removal of pods by --rm beyond their grace.
const removeTimeout = time.Minute

// removeAll removes the pods of manifests; those that are not there are done.
func removeAll(ctx context.Context, engine *pod.Engine, pods []*v1.Pod) error {
	var group sync.WaitGroup
	errs := make([]error, len(pods))
	for i, p := range pods {
		group.Go(func() {
			grace := time.Duration(*p.Spec.TerminationGracePeriodSeconds) * time.Second
			ctx, cancel := context.WithTimeout(ctx, grace+removeTimeout)
			defer cancel()
			if err := engine.Remove(ctx, pod.RefOf(p), pod.RemoveOptions{}); !errors.Is(err, pod.ErrNotFound) {
				errs[i] = err
			}
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

// overridePull applies --pull.
func overridePull(loaded *manifest.Manifest, when string) error {
	policy, err := pullPolicy(when)
	if err != nil || policy == "" {
		return err
	}
	for _, p := range loaded.Pods {
		for _, m := range status.Members(p) {
			m.ImagePullPolicy = policy
		}
	}
	return nil
}

// pullPolicy is what --pull says, empty when that is nothing.
func pullPolicy(when string) (v1.PullPolicy, error) {
	policy, ok := map[string]v1.PullPolicy{"": "", "always": v1.PullAlways, "missing": v1.PullIfNotPresent, "never": v1.PullNever}[when]
	if !ok {
		return "", usagef("--pull %q: not always, missing or never", when)
	}
	return policy, nil
}

// dryRun prints what up would do with each object.
func (a *app) dryRun(ctx context.Context, loaded *manifest.Manifest, options pod.UpOptions) error {
	config, err := a.config()
	if err != nil {
		return err
	}
	engine, err := a.find(ctx)
	if err != nil {
		return err
	}
	if engine != nil {
		defer engine.Close()
	}
	foreseen, err := pod.Foresee(ctx, config, engine, loaded, options)
	if err != nil {
		return err
	}
	for _, f := range foreseen {
		fmt.Fprintln(a.Out, f.Name, f.Change, "(dry run)")
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
