package sandbox

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"

	"github.com/containerd/errdefs"
	v1 "k8s.io/api/core/v1"

	"podrun/container"
	"podrun/container/env"
	"podrun/container/image"
	"podrun/container/oci"
	"podrun/sandbox/cgroup"
	"podrun/sandbox/files"
	"podrun/sandbox/network"
)

// Config says where sandboxes live and what they are made with.
type Config struct {
	Root, RunDir string // podrun's directories
	Containerd   string // stands for the containerd in use
	NodeName     string
	HostIPs      []string        // of the machine, the preferred one first
	BootID       string          // of the machine, another one after each reboot
	Allocatable  v1.ResourceList // what all pods may have together
	Machine      oci.Machine
	Settings     Settings // of new pods
	Log          *slog.Logger
}

// Store holds the sandboxes of one containerd.
type Store struct {
	config     Config
	containers *container.Store
	images     *image.Store
	network    *network.Network
	cgroups    *cgroup.Driver
	volumes    sync.Map // a *sync.Mutex by pod's UID
	pauses     sync.Map // the *image.Image of a pod that was registered just now, by its UID
}

// New makes a Store from the parts that it works with.
func New(config Config, containers *container.Store, images *image.Store, net *network.Network, cgroups *cgroup.Driver) *Store {
	return &Store{config: config, containers: containers, images: images, network: net, cgroups: cgroups}
}

// Register writes the record of a new pod, and does nothing else. pause is
// the image of its pause container.
func (s *Store) Register(ctx context.Context, pod *v1.Pod, pause *image.Image) error {
	shared, err := s.shared(pod, s.cgroups)
	if err != nil {
		return err
	}
	labels, err := container.Labels(pod, nil)
	if err != nil {
		return err
	}
	runtimeSpec, err := oci.PauseSpec(oci.PauseInput{
		ID:      container.ID(string(pod.UID), "", 0),
		Pod:     pod,
		Image:   pause.Config,
		Shared:  shared,
		Machine: s.config.Machine,
		SELinux: labels,
	})
	if err != nil {
		return fmt.Errorf("build runtime spec of the sandbox: %w", err)
	}
	data, err := encode(pod)
	if err != nil {
		return err
	}
	memory, err := encode(Memory{BootID: s.config.BootID, Systemd: s.cgroups.Systemd(), Settings: s.config.Settings})
	if err != nil {
		return err
	}
	if err := s.claim(string(pod.UID)); err != nil {
		return err
	}
	err = s.containers.Register(ctx, container.Spec{
		Record:     container.Record{Kind: container.KindPause, Pod: container.RefOf(pod)},
		Image:      pause,
		Runtime:    runtimeSpec,
		Class:      container.ClassOf(pod),
		Systemd:    shared.Systemd,
		Extensions: map[string][]byte{extensionPod: data, extensionMemory: memory},
	})
	if err != nil {
		return fmt.Errorf("write record of pod %q: %w", pod.Name, err)
	}
	s.pauses.Store(string(pod.UID), pause)
	return nil
}

// Load returns the sandbox of a pod; errdefs.ErrNotFound when there is none.
func (s *Store) Load(ctx context.Context, uid string) (*Sandbox, error) {
	pause, err := s.containers.Load(ctx, container.ID(uid, "", 0))
	if err != nil {
		return nil, err
	}
	return s.sandboxOf(pause)
}

// Observe returns the sandbox of a pod and the containers in it, as they are
// now; errdefs.ErrNotFound when there is no record of the pod.
// likely is for container.Store.ListPod.
func (s *Store) Observe(ctx context.Context, uid string, likely ...string) (*Sandbox, []container.Container, error) {
	all, err := s.containers.ListPod(ctx, uid, likely...)
	if err != nil {
		return nil, nil, err
	}
	var pause *container.Container
	var others []container.Container
	for i := range all {
		if all[i].Kind == container.KindPause {
			pause = &all[i]
		} else {
			others = append(others, all[i])
		}
	}
	if pause == nil {
		return nil, nil, fmt.Errorf("pod %s: %w", uid, errdefs.ErrNotFound)
	}
	sb, err := s.sandboxOf(pause)
	return sb, others, err
}

// List returns the sandboxes that there are records of, as they are written
// down: State is not looked at.
func (s *Store) List(ctx context.Context) ([]*Sandbox, error) {
	pauses, err := s.containers.Records(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]*Sandbox, 0, len(pauses))
	for i := range pauses {
		sb, err := s.sandboxOf(&pauses[i])
		if err != nil {
			// It must not keep anybody from the other pods.
			s.config.Log.Error("pass over a pod", "error", err)
			continue
		}
		list = append(list, sb)
	}
	return list, nil
}

// SavePod writes the pod as it is now wished for into the record.
func (s *Store) SavePod(ctx context.Context, sb *Sandbox) error {
	return s.save(ctx, sb, extensionPod, sb.Pod)
}

// SaveMemory writes the sandbox' memory into the record.
func (s *Store) SaveMemory(ctx context.Context, sb *Sandbox) error {
	return s.save(ctx, sb, extensionMemory, sb.Memory)
}

// SaveHalt writes into the record whether the pod is to be stopped.
func (s *Store) SaveHalt(ctx context.Context, sb *Sandbox) error {
	return s.save(ctx, sb, extensionHalt, sb.Halt)
}

// save fails with errdefs.ErrNotFound when the pod's owner has removed the record
// meanwhile.
func (s *Store) save(ctx context.Context, sb *Sandbox, extension string, value any) error {
	data, err := encode(value)
	if err == nil {
		err = s.containers.Update(ctx, sb.ID, extension, data)
	}
	if err != nil {
		return fmt.Errorf("write record of pod %q: %w", sb.Pod.Name, err)
	}
	return nil
}

// Shared is what a container of the sandbox joins; the pause container runs. As
// with a kubelet each container finds the hosts file as it was made, whatever
// others wrote into it.
func (s *Store) Shared(sb *Sandbox) (container.Shared, error) {
	cgroups, err := s.cgroupsOf(sb)
	if err != nil {
		return container.Shared{}, err
	}
	shared, err := s.shared(sb.Pod, cgroups)
	shared.PausePID = sb.PausePID
	if err == nil && len(sb.Memory.IPs) > 0 {
		err = files.WriteHosts(s.filesSpec(sb.Pod), sb.Memory.IPs)
	}
	return shared, err
}

// cgroupsOf is the driver that the sandbox was made with.
func (s *Store) cgroupsOf(sb *Sandbox) (*cgroup.Driver, error) {
	return s.cgroups.With(sb.Memory.Systemd)
}

func (s *Store) shared(pod *v1.Pod, cgroups *cgroup.Driver) (container.Shared, error) {
	uid := string(pod.UID)
	hostname, err := files.Hostname(pod, s.config.NodeName)
	shared := container.Shared{
		CgroupParent: cgroups.Parent(pod),
		Systemd:      cgroups.Systemd(),
		Hostname:     hostname,
		Annotations:  map[string]string{"io.containerd.runc.v2.group": container.ID(uid, "", 0)},
	}
	for _, m := range files.Mounts(s.filesSpec(pod)) {
		shared.Mounts = append(shared.Mounts, oci.Mount{Source: m.Source, Destination: m.Destination, ReadOnly: m.ReadOnly, Options: m.Options, WithRoot: m.WithRoot, Relabel: m.Own})
	}
	if !pod.Spec.HostNetwork {
		shared.NetNS = network.NetNSPath(s.config.RunDir, uid)
	}
	return shared, err
}

// OOMKilled says whether a container of the sandbox lost a process for want of
// memory, and the most that it had: see cgroup.Driver. That is known as long as its
// task is there.
func (s *Store) OOMKilled(sb *Sandbox, id string, exitCode int) (killed bool, peak int64) {
	cgroups, err := s.cgroupsOf(sb)
	if err != nil {
		return false, 0
	}
	return cgroups.OOMKilled(sb.Pod, id, exitCode)
}

// Hasten makes it quick for a runtime to make a container; see cgroup.Driver.
func (s *Store) Hasten() (stop func()) { return s.cgroups.Hasten() }

// BootID is what the machine has another one of after each reboot.
func (s *Store) BootID() string { return s.config.BootID }

// sandboxOf reads a sandbox from its pause container.
func (s *Store) sandboxOf(pause *container.Container) (*Sandbox, error) {
	sb, err := fromPause(pause)
	if err == nil {
		sb.Rebooted = !sb.Memory.Stopped && sb.Memory.BootID != "" && sb.Memory.BootID != s.config.BootID
	}
	return sb, err
}

// NodeName is the machine's name.
func (s *Store) NodeName() string { return s.config.NodeName }

// HostIPs are the machine's addresses.
func (s *Store) HostIPs() []string { return s.config.HostIPs }

// Facts are what the containers of a sandbox are told of where they run.
func (s *Store) Facts(sb *Sandbox) env.Facts {
	return env.Facts{
		NodeName:    s.config.NodeName,
		HostIPs:     s.config.HostIPs,
		PodIPs:      sb.Memory.IPs,
		Allocatable: s.config.Allocatable,
	}
}

// RootDir is the directory of a pod that survives a reboot.
func (s *Store) RootDir(uid string) string { return filepath.Join(s.config.Root, "pods", uid) }

// RunDir is the directory of a pod that does not survive a reboot.
func (s *Store) RunDir(uid string) string { return filepath.Join(s.config.RunDir, "pods", uid) }

// LogDir is where the logs of a pod's containers are.
func (s *Store) LogDir(uid string) string { return filepath.Join(s.RootDir(uid), "logs") }

// claimDir is where the data of claims is.
func (s *Store) claimDir() string { return filepath.Join(s.config.Root, "claims") }

// VolumeDir is where the pod's own volumes are.
func (s *Store) VolumeDir(uid string) string { return filepath.Join(s.RootDir(uid), "volumes") }

func (s *Store) filesSpec(pod *v1.Pod) files.Spec {
	uid := string(pod.UID)
	return files.Spec{
		Dir:      filepath.Join(s.RootDir(uid), "files"),
		ShmDir:   filepath.Join(s.RunDir(uid), "shm"),
		Pod:      pod,
		NodeName: s.config.NodeName,
	}
}
