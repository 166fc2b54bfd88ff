package pod

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	containerd "github.com/containerd/containerd/v2/client"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/connectivity"

	"podrun/container"
	"podrun/container/image"
	"podrun/container/logs"
	"podrun/container/stack"
	"podrun/pod/objects"
	"podrun/sandbox"
	"podrun/sandbox/cgroup"
	"podrun/sandbox/network"
)

// Config says where an Engine's pods live and what runs them.
type Config struct {
	Root       string        // what must survive a reboot; absolute
	RunDir     string        // what must not; absolute
	Containerd string        // the address of a containerd to use; empty: see stack.Config
	CNIConfDir string        // empty: the built-in bridge network
	Systemd    bool          // which makes the cgroups of new pods; see cgroup.Driver
	Backoff    time.Duration // the base of new pods' back-offs; zero: the kubelet's 10 s
	LogLimits  logs.Limits   // of new pods' logs
	Debug      bool
	Log        *slog.Logger
}

// Stack says which containerd is meant.
func (c Config) Stack() stack.Config {
	return stack.Config{Root: c.Root, RunDir: c.RunDir, Address: c.Containerd}
}

// hostDirs are where the configuration of registries is.
func (c Config) hostDirs() []string {
	return []string{filepath.Join(c.Root, "certs.d"), "/etc/containerd/certs.d"}
}

// Engine is the way to the pods under one pair of directories.
type Engine struct {
	config     Config
	stack      *stack.Stack
	client     *containerd.Client
	images     *image.Store
	containers *container.Store
	sandboxes  *sandbox.Store
	objects    *objects.Store
}

// cgroupRoot is the cgroup that all pods are below. Instances share it, since
// UIDs are unique.
const cgroupRoot = "podrun"

// dialTimeout bounds how long a containerd that accepts connections may take
// to answer.
const dialTimeout = 10 * time.Second

// Open connects to containerd, starting the bundled one when it is needed.
func Open(ctx context.Context, config Config) (*Engine, error) {
	for _, dir := range []string{config.Root, config.RunDir} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("make directory: %w", err)
		}
	}
	running, err := stack.Open(ctx, config.Stack())
	if err != nil {
		return nil, err
	}
	return connect(ctx, config, running)
}

// Find is Open for those who only look: it starts nothing, and fails with
// stack.ErrNotRunning when there is no containerd to ask.
func Find(ctx context.Context, config Config) (*Engine, error) {
	running, err := stack.Find(ctx, config.Stack())
	if err != nil {
		return nil, err
	}
	return connect(ctx, config, running)
}

func connect(ctx context.Context, config Config, running *stack.Stack) (*Engine, error) {
	client, err := containerd.New(running.Address,
		containerd.WithDefaultNamespace(container.Namespace),
		containerd.WithTimeout(dialTimeout),
		containerd.WithExtraDialOpts([]grpc.DialOption{
			grpc.WithChainUnaryInterceptor(bounded),
			grpc.WithConnectParams(grpc.ConnectParams{Backoff: reconnect, MinConnectTimeout: dialTimeout}),
		}))
	if err != nil {
		return nil, fmt.Errorf("connect to containerd at %s: %w", running.Address, err)
	}
	e := &Engine{config: config, stack: running, client: client, objects: objects.New(config.Root)}
	if err := e.assemble(ctx); err != nil {
		client.Close()
		return nil, err
	}
	return e, nil
}

// callTimeout bounds a call of containerd that its caller does not bound.
const callTimeout = 2 * time.Minute

// reconnect looks for a containerd that was away often: it is on this machine.
var reconnect = backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.5, MaxDelay: time.Second}

// unbounded are the calls that take as long as they take: the wait for a
// process' end, a pull.
var unbounded = []string{"/containerd.services.tasks.v1.Tasks/Wait", "/containerd.services.transfer.v1.Transfer/Transfer"}

// settleTime is how long a connection that is being made is waited for.
const settleTime = time.Second

// settle waits for a connection that is being made, or made again: a containerd
// that has just been started may break off the first one.
func settle(ctx context.Context, conn *grpc.ClientConn) {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	for state := conn.GetState(); state != connectivity.Ready; state = conn.GetState() {
		conn.Connect()
		if !conn.WaitForStateChange(ctx, state) {
			return
		}
	}
}

// bounded gives every call of containerd an end.
func bounded(ctx context.Context, method string, request, reply any, conn *grpc.ClientConn, call grpc.UnaryInvoker, options ...grpc.CallOption) error {
	if _, has := ctx.Deadline(); !has && !slices.Contains(unbounded, method) {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, callTimeout)
		defer cancel()
	}
	settle(ctx, conn)
	return call(ctx, method, request, reply, conn, options...)
}

// CheckSystemd says whether this machine has a systemd that makes cgroups of pods;
// cgroup.ErrNoSystemd when it has not.
func CheckSystemd() error {
	_, err := detect(true)
	return err
}

func detect(systemd bool) (*cgroup.Driver, error) {
	cgroups, err := cgroup.Detect(cgroupRoot)
	if err != nil {
		return nil, err
	}
	return cgroups.With(systemd)
}

// assemble builds the parts, each from those below it.
func (e *Engine) assemble(ctx context.Context) error {
	modern, err := e.modern(ctx)
	if err != nil {
		return err
	}
	cgroups, err := detect(e.config.Systemd)
	if err != nil {
		return err
	}
	facts := machine(cgroups)
	e.images = image.New(e.client, container.Snapshotter,
		image.WithHostDirs(e.config.hostDirs()...))
	e.containers = container.New(e.client, container.Config{
		RunDir:     e.config.RunDir,
		Address:    e.stack.Address,
		ShimDir:    e.stack.ShimDir,
		Runc:       e.stack.Runc,
		Sandboxes:  modern,
		SeccompDir: filepath.Join(e.config.Root, "seccomp"),
		Log:        e.config.Log,
		Machine:    facts,
		Forget: func(ctx context.Context, id string) error {
			return stack.Forget(ctx, e.config.Stack(), container.Namespace, id)
		},
	})
	name, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("ask for the host's name: %w", err)
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return fmt.Errorf("ask for the boot's ID: %w", err)
	}
	e.sandboxes = sandbox.New(sandbox.Config{
		Root:        e.config.Root,
		RunDir:      e.config.RunDir,
		Containerd:  e.identity(),
		NodeName:    name,
		HostIPs:     network.HostIPs(),
		BootID:      strings.TrimSpace(string(boot)),
		Allocatable: allocatable(facts, e.config.Root),
		Machine:     facts,
		Settings: sandbox.Settings{
			Backoff:     e.config.Backoff,
			LogMaxSize:  e.config.LogLimits.MaxSize,
			LogMaxFiles: e.config.LogLimits.MaxFiles,
		},
		Log: e.config.Log,
	}, e.containers, e.images, network.New(network.Config{
		RunDir:  e.config.RunDir,
		ConfDir: e.config.CNIConfDir,
		BinDirs: e.stack.CNIBinDirs,
	}), cgroups)
	return nil
}

// identity stands for the containerd in use: for podrun's own, which keeps its
// data under the root directory, or the one at an address.
func (e *Engine) identity() string {
	if e.stack.Bundled {
		return "bundled"
	}
	return e.stack.Address
}

// modern says whether containerd has the services of 2.0.
func (e *Engine) modern(ctx context.Context) (bool, error) {
	if e.stack.Bundled {
		return true, nil
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	version, err := e.client.Version(ctx)
	if err != nil {
		return false, fmt.Errorf("ask containerd at %s for its version: %w", e.stack.Address, err)
	}
	return !strings.HasPrefix(strings.TrimPrefix(version.Version, "v"), "1."), nil
}

// Close gives up the connection. Pods and their supervisors go on.
func (e *Engine) Close() error { return e.client.Close() }

// Images is the store of images that pods are made from.
func (e *Engine) Images() *image.Store { return e.images }
