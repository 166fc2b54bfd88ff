package network

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"
)

const (
	// ifName is the pod's interface, as with a kubelet.
	ifName = "eth0"
	// callTimeout bounds an ADD or a DEL with all its plugins.
	callTimeout = 30 * time.Second
)

// Config says where a Network finds and keeps things.
type Config struct {
	RunDir  string   // podrun's run directory
	ConfDir string   // CNI configurations, the first by name is used; empty: the built-in network
	BinDirs []string // where the plugins are
}

// Network connects and disconnects pods. Its methods can be called by many
// processes at a time, those for one pod by its owner only.
type Network struct {
	config Config
}

// New makes a Network; nothing is touched.
func New(config Config) *Network { return &Network{config: config} }

// Pod is what is to be known about a pod to connect it.
type Pod struct {
	UID, Namespace, Name string
	ID                   string // the sandbox container's; CNI_CONTAINERID
	NetNS                string // path of the network namespace
	Ports                []Port // those with a host port are published
	Annotations          map[string]string
}

// Result is what a pod got.
type Result struct {
	IPs []string // the first is the pod's; the first IPv4 address is preferred
}

// Add connects a pod. The record is written first, so that Del undoes whatever
// Add did, also when either was interrupted; a record from an earlier time is
// undone before. After an error it is up to the caller to call Del and Clean.
func (n *Network) Add(ctx context.Context, pod Pod) (Result, error) {
	result, err := n.add(ctx, pod)
	if err != nil {
		return Result{}, fmt.Errorf("connect pod %q: %w", pod.Name, err)
	}
	return result, nil
}

func (n *Network) add(ctx context.Context, pod Pod) (Result, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if err := n.Del(ctx, pod.UID); err != nil {
		return Result{}, err
	}
	record, err := n.register(ctx, pod)
	if err != nil {
		return Result{}, err
	}
	lock, err := lockFile(ctx, n.recordPath(pod.UID))
	if err != nil {
		return Result{}, err
	}
	defer lock.Close()
	list, err := libcni.NetworkConfFromBytes(record.Network)
	if err != nil {
		return Result{}, err
	}
	if record.Subnet6.IsValid() {
		if err := refuseRouters(record.NetNS); err != nil {
			return Result{}, err
		}
	}
	cniResult, err := n.cni(lock).AddNetworkList(ctx, list, record.runtime())
	if err != nil {
		return Result{}, err
	}
	ips, err := addresses(cniResult)
	if err != nil {
		return Result{}, err
	}
	if record.Bridge != "" {
		if err := open(record, ips[0], pod); err != nil {
			return Result{}, err
		}
	}
	return record.result(ips), nil
}

// open does for a pod of the built-in network what the plugins leave to do.
func open(record *record, ipv4 netip.Addr, pod Pod) error {
	where := newAddressing(ipv4, record.Subnet6)
	if where.ipv6.IsValid() {
		where.forwards = forwardsIPv6()
		if err := assign6(record.Bridge, record.NetNS, where); err != nil {
			return err
		}
	}
	return publish(record.Bridge, pod.UID, where, pod.Ports)
}

// register decides what the pod is connected with and writes that down.
func (n *Network) register(ctx context.Context, pod Pod) (*record, error) {
	record := newRecord(pod)
	if n.config.ConfDir != "" {
		network, err := firstConfig(n.config.ConfDir)
		if err != nil {
			return nil, err
		}
		record.Network = network
		return record, n.save(pod.UID, record)
	}
	lock, err := lockFile(ctx, n.lockPath())
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	record.Bridge = bridgeName(n.config.RunDir)
	if record.Network, err = n.builtIn(); err != nil {
		return nil, err
	}
	if bridgeSpeaksIPv6(record.Bridge) {
		if record.Subnet6, err = subnet6Of(record.Network); err != nil {
			return nil, err
		}
	}
	return record, n.save(pod.UID, record)
}

// Load returns what a connected pod got, without running a plugin;
// fs.ErrNotExist when it is not connected or not completely.
func (n *Network) Load(uid string) (Result, error) {
	record, err := n.load(uid)
	if err != nil {
		return Result{}, err
	}
	list, err := libcni.NetworkConfFromBytes(record.Network)
	if err != nil {
		return Result{}, err
	}
	cached, err := n.cni(nil).GetNetworkListCachedResult(list, record.runtime())
	if err != nil {
		return Result{}, err
	}
	if cached == nil {
		return Result{}, fmt.Errorf("network of pod %s: %w", uid, fs.ErrNotExist)
	}
	ips, err := addresses(cached)
	if err != nil {
		return Result{}, err
	}
	return record.result(ips), nil
}

// Del undoes what Add did, with the configuration that Add used, whether the
// network namespace is still there or not. No record is nothing to do. The record
// goes last: after an error, Del can be tried again.
func (n *Network) Del(ctx context.Context, uid string) error {
	record, err := n.load(uid)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = n.undo(ctx, uid, record)
	}
	if err != nil {
		return fmt.Errorf("disconnect pod %s: %w", uid, err)
	}
	return nil
}

func (n *Network) undo(ctx context.Context, uid string, record *record) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if err := n.awaitOrphans(ctx, uid); err != nil {
		return err
	}
	if record.Bridge != "" {
		if err := unpublish(record.Bridge, uid, record.Subnet6.IsValid()); err != nil {
			return err
		}
	}
	list, err := libcni.NetworkConfFromBytes(record.Network)
	if err != nil {
		return err
	}
	runtime := record.runtime()
	if !isNetNS(runtime.NetNS) {
		runtime.NetNS = "" // for plugins: it is gone, free what is left
	}
	if err := n.cni(nil).DelNetworkList(ctx, list, runtime); err != nil {
		return err
	}
	return os.Remove(n.recordPath(uid))
}

// awaitOrphans waits for plugins that an ADD of a podrun that was killed may have
// left running: they hold the lock of the record. One that hangs is not waited for
// any longer than a plugin may take; what it does afterwards is beyond help.
func (n *Network) awaitOrphans(ctx context.Context, uid string) error {
	waitCtx, cancel := context.WithTimeout(ctx, orphanTimeout)
	defer cancel()
	lock, err := lockFile(waitCtx, n.recordPath(uid))
	if err == nil {
		return lock.Close()
	}
	if ctx.Err() == nil && waitCtx.Err() != nil {
		return nil
	}
	return err
}

// cni is libcni with podrun's own cache. Plugins, and what they start, inherit
// lock if it is not nil.
func (n *Network) cni(lock *os.File) *libcni.CNIConfig {
	return libcni.NewCNIConfigWithCacheDir(n.config.BinDirs, n.path("cache"), &executor{lock: lock})
}

// path is a path in the directory of what all pods share.
func (n *Network) path(name string) string { return filepath.Join(n.config.RunDir, "cni", name) }

func (n *Network) lockPath() string { return n.path("lock") }

// addresses are those of the pod's interface, IPv4 first.
func addresses(cniResult types.Result) ([]netip.Addr, error) {
	result, err := types100.GetResult(cniResult)
	if err != nil {
		return nil, err
	}
	var list []netip.Addr
	for _, ip := range result.IPs {
		if i := ip.Interface; i != nil && *i >= 0 && *i < len(result.Interfaces) && result.Interfaces[*i].Name != ifName {
			continue
		}
		if addr, ok := netip.AddrFromSlice(ip.Address.IP); ok {
			list = append(list, addr.Unmap())
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("the CNI configuration gave no address to %s", ifName)
	}
	first := max(0, slices.IndexFunc(list, netip.Addr.Is4))
	list[0], list[first] = list[first], list[0]
	return list, nil
}

// firstConfig is the first network configuration of dir by name, as a list that
// needs no other file.
func firstConfig(dir string) ([]byte, error) {
	files, err := libcni.ConfFiles(dir, []string{".conf", ".conflist", ".json"})
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("no CNI configuration in %q", dir)
	}
	file := slices.Min(files)
	list, err := loadConfig(file)
	if err != nil {
		return nil, fmt.Errorf("read CNI configuration %q: %w", file, err)
	}
	plugins := make([]json.RawMessage, len(list.Plugins))
	for i, plugin := range list.Plugins {
		plugins[i] = plugin.Bytes
	}
	return json.Marshal(map[string]any{"cniVersion": list.CNIVersion, "name": list.Name, "plugins": plugins})
}

// loadConfig makes a list of one out of the old kind of configuration.
func loadConfig(file string) (*libcni.NetworkConfigList, error) {
	if strings.HasSuffix(file, ".conflist") {
		return libcni.NetworkConfFromFile(file)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	plugin, err := libcni.NetworkPluginConfFromBytes(data)
	if err != nil {
		return nil, err
	}
	return &libcni.NetworkConfigList{
		Name:       plugin.Network.Name,
		CNIVersion: plugin.Network.CNIVersion,
		Plugins:    []*libcni.PluginConfig{plugin},
	}, nil
}
