package network

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/containernetworking/cni/libcni"
	"golang.org/x/sys/unix"
)

const (
	// orphanTimeout bounds the wait for plugins whose podrun has died.
	orphanTimeout = 10 * time.Second
	lockPause     = 5 * time.Millisecond
)

// record is what a pod was connected with; all that Del needs.
type record struct {
	Network      json.RawMessage `json:"network"`          // a CNI configuration list
	Bridge       string          `json:"bridge,omitempty"` // of the built-in network; empty: another network
	Subnet6      netip.Prefix    `json:"subnet6,omitzero"` // of the built-in network; none: the pod has no IPv6
	ContainerID  string          `json:"containerID"`
	NetNS        string          `json:"netNS"`
	Args         [][2]string     `json:"args"`
	Capabilities map[string]any  `json:"capabilities,omitempty"`
}

// newRecord has the arguments that containerd's CRI service gives to plugins.
func newRecord(pod Pod) *record {
	r := &record{
		ContainerID: pod.ID,
		NetNS:       pod.NetNS,
		Args: [][2]string{
			{"IgnoreUnknown", "1"},
			{"K8S_POD_NAMESPACE", pod.Namespace},
			{"K8S_POD_NAME", pod.Name},
			{"K8S_POD_INFRA_CONTAINER_ID", pod.ID},
			{"K8S_POD_UID", pod.UID},
		},
		Capabilities: map[string]any{},
	}
	if mappings := portMappings(pod.Ports); len(mappings) > 0 {
		r.Capabilities["portMappings"] = mappings
	}
	if len(pod.Annotations) > 0 {
		r.Capabilities["io.kubernetes.cri.pod-annotations"] = pod.Annotations
	}
	return r
}

func (r *record) runtime() *libcni.RuntimeConf {
	return &libcni.RuntimeConf{
		ContainerID:    r.ContainerID,
		NetNS:          r.NetNS,
		IfName:         ifName,
		Args:           r.Args,
		CapabilityArgs: r.Capabilities,
	}
}

// result is what a pod got whose plugins gave it these addresses.
func (r *record) result(ips []netip.Addr) Result {
	if r.Bridge != "" {
		ips = newAddressing(ips[0], r.Subnet6).ips()
	}
	var result Result
	for _, ip := range ips {
		result.IPs = append(result.IPs, ip.String())
	}
	return result
}

func (n *Network) recordPath(uid string) string {
	return filepath.Join(n.config.RunDir, "pods", uid, "network.json")
}

// load returns fs.ErrNotExist when the pod is not connected.
func (n *Network) load(uid string) (*record, error) {
	data, err := os.ReadFile(n.recordPath(uid))
	if err != nil {
		return nil, err
	}
	r := &record{}
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("read %q: %w", n.recordPath(uid), err)
	}
	return r, nil
}

func (n *Network) save(uid string, r *record) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return writeFile(n.recordPath(uid), data)
}

// connected tells whether there is any record.
func (n *Network) connected() (bool, error) {
	records, err := filepath.Glob(n.recordPath("*"))
	return len(records) > 0, err
}

// writeFile makes path with data at once, and the directory of it. Nothing below
// the run directory has to outlive a reboot.
func writeFile(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	temporary := path + ".tmp"
	if err := os.WriteFile(temporary, data, 0o600); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}

// lockFile locks path until the file is closed by all processes that have it
// open. It makes a file that is not there, and waits as long as ctx lets it.
func lockFile(ctx context.Context, path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return nil, errors.Join(fmt.Errorf("lock %q: %w", path, err), f.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("lock %q: %w", path, context.Cause(ctx)), f.Close())
		case <-time.After(lockPause):
		}
	}
}
