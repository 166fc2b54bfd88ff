package cmd

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/resource"

	"podrun/cmd/output"
	"podrun/container/logs"
	"podrun/pod"
	"podrun/pod/manifest"
)

// Streams are the standard streams of the program.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
	// Again takes the signal of the second interrupt, when somebody receives from
	// it then; nil for a program that has none.
	Again <-chan os.Signal
}

// app is what all verbs share: the global flags and the way to the pods.
type app struct {
	Streams
	root, runDir string
	containerd   string
	cniConfDir   string
	cgroupDriver string
	namespace    string
	logMaxSize   string
	logMaxFiles  string
	debug        bool
	backoff      time.Duration
	wrong        error // of the environment

	machine         *manifest.Machine // that manifests must fit; nil when that does not matter
	skipUnsupported bool              // of the verbs that read manifests

	mu sync.Mutex // held while a line is printed that others may print beside it
}

// Main runs the command line args and returns the program's exit code.
func Main(ctx context.Context, streams Streams, args []string) int {
	a := &app{Streams: streams}
	root := newRoot(a)
	root.SetArgs(args)
	root.SetIn(streams.In)
	root.SetOut(streams.Out)
	root.SetErr(streams.Err)
	err := root.ExecuteContext(ctx)
	message, code := explain(err, context.Cause(ctx))
	if message != "" {
		fmt.Fprintln(streams.Err, output.Escape(message))
	}
	return code
}

func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "podrun",
		Short: "Run Kubernetes pods on this machine",
		Long: `podrun runs Kubernetes Pod manifests on this machine, directly through
containerd: no cluster, no kubelet, no Docker.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("unknown command %q", args[0])}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	a.bind(root)
	root.AddCommand(
		newUp(a), newDown(a), newCheck(a), newPs(a), newInspect(a), newDescribe(a), newEvents(a), newLogs(a), newWait(a),
		newStop(a), newStart(a), newRestart(a), newExec(a), newAttach(a), newDebug(a), newCp(a), newPortForward(a), newStats(a), newRm(a),
		newPull(a), newLoad(a), newImages(a), newRmi(a),
		newStack(a), newDoctor(a), newGC(a), newVersion(a), newSupervise(a),
	)
	checkArguments(root)
	return root
}

func (a *app) bind(root *cobra.Command) {
	flags := root.PersistentFlags()
	flags.StringVar(&a.root, "root", environment("PODRUN_ROOT", "/var/lib/podrun"), "directory for what must survive a reboot (PODRUN_ROOT)")
	flags.StringVar(&a.runDir, "run-dir", environment("PODRUN_RUN_DIR", "/run/podrun"), "directory for what must not survive a reboot (PODRUN_RUN_DIR)")
	flags.StringVar(&a.containerd, "containerd", os.Getenv("CONTAINERD_ADDRESS"), "address of the containerd to use instead of podrun's own (CONTAINERD_ADDRESS)")
	flags.StringVar(&a.cniConfDir, "cni-conf-dir", os.Getenv("PODRUN_CNI_CONF_DIR"), "directory of CNI configurations to use instead of the built-in network (PODRUN_CNI_CONF_DIR)")
	flags.StringVar(&a.cgroupDriver, "cgroup-driver", environment("PODRUN_CGROUP_DRIVER", "cgroupfs"), "who makes the cgroups of new pods: cgroupfs, which is podrun itself, or systemd (PODRUN_CGROUP_DRIVER)")
	flags.StringVarP(&a.namespace, "namespace", "n", "", `namespace of pods (default "default")`)
	flags.StringVar(&a.logMaxSize, "log-max-size", environment("PODRUN_LOG_MAX_SIZE", "10Mi"), "size from which on a log of a new pod's container is rotated (PODRUN_LOG_MAX_SIZE)")
	flags.StringVar(&a.logMaxFiles, "log-max-files", environment("PODRUN_LOG_MAX_FILES", "5"), "how many files of such a log are kept, at least 2 (PODRUN_LOG_MAX_FILES)")
	debug, _ := strconv.ParseBool(os.Getenv("PODRUN_DEBUG"))
	backoff, err := time.ParseDuration(environment("PODRUN_BACKOFF_BASE", "10s"))
	if err != nil {
		a.wrong = usagef("PODRUN_BACKOFF_BASE: %v", err)
	}
	flags.DurationVar(&a.backoff, "backoff-base", backoff, "first back-off of new pods after a crash or a failed pull; it doubles up to 30 times that (PODRUN_BACKOFF_BASE)")
	flags.BoolVar(&a.debug, "debug", debug, "log each step with its duration (PODRUN_DEBUG)")
}

// environment returns the value of a variable, or else a default.
func environment(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

// checkArguments makes wrong arguments of any verb a wrong request.
func checkArguments(root *cobra.Command) {
	for _, command := range root.Commands() {
		check := command.Args
		if check != nil {
			command.Args = func(cmd *cobra.Command, args []string) error {
				if err := check(cmd, args); err != nil {
					return usageError{err}
				}
				return nil
			}
		}
		checkArguments(command)
	}
}

// config is what the global flags say, for whoever may act on it.
func (a *app) config() (pod.Config, error) {
	if os.Geteuid() != 0 {
		return pod.Config{}, errNotRoot
	}
	return a.settings()
}

// settings is what the global flags say.
func (a *app) settings() (pod.Config, error) {
	if a.wrong != nil {
		return pod.Config{}, a.wrong
	}
	if a.backoff <= 0 {
		return pod.Config{}, usagef("--backoff-base %s: not a positive duration", a.backoff)
	}
	if a.cgroupDriver != "cgroupfs" && a.cgroupDriver != "systemd" {
		return pod.Config{}, usagef("--cgroup-driver %s: neither cgroupfs nor systemd", a.cgroupDriver)
	}
	systemd := a.cgroupDriver == "systemd"
	if systemd {
		if err := pod.CheckSystemd(); err != nil {
			return pod.Config{}, usagef("--cgroup-driver %s: %v", a.cgroupDriver, err)
		}
	}
	root, err := filepath.Abs(a.root)
	if err != nil {
		return pod.Config{}, err
	}
	runDir, err := filepath.Abs(a.runDir)
	if err != nil {
		return pod.Config{}, err
	}
	limits, err := a.logLimits()
	if err != nil {
		return pod.Config{}, err
	}
	return pod.Config{
		Root:       root,
		RunDir:     runDir,
		Containerd: a.containerd,
		CNIConfDir: a.cniConfDir,
		Systemd:    systemd,
		Debug:      a.debug,
		Backoff:    a.backoff,
		LogLimits:  limits,
		Log:        a.log(),
	}, nil
}

// logLimits is what the flags say of containers' logs.
func (a *app) logLimits() (logs.Limits, error) {
	limits := logs.DefaultLimits
	size, err := resource.ParseQuantity(a.logMaxSize)
	if err != nil || size.Value() <= 0 {
		return limits, usagef("--log-max-size %q: not a size such as 10Mi", a.logMaxSize)
	}
	limits.MaxSize = size.Value()
	limits.MaxFiles, err = strconv.Atoi(a.logMaxFiles)
	if err != nil || limits.MaxFiles < 2 {
		return limits, usagef("--log-max-files %q: not a number of at least 2", a.logMaxFiles)
	}
	return limits, nil
}

func (a *app) log() *slog.Logger {
	level := slog.LevelWarn
	if a.debug {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(a.Err, &slog.HandlerOptions{Level: level}))
}

// open opens the engine, starting containerd when it is needed.
func (a *app) open(ctx context.Context) (*pod.Engine, error) {
	config, err := a.config()
	if err != nil {
		return nil, err
	}
	return pod.Open(ctx, config)
}

// ref is the pod that an argument names.
func (a *app) ref(name string) pod.Ref {
	ref := pod.Ref{Namespace: a.namespace, Name: name}
	if ref.Namespace == "" {
		ref.Namespace = "default"
	}
	return ref
}
