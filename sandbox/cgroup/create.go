package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/cgroups"
	"golang.org/x/sys/unix"
	v1 "k8s.io/api/core/v1"

	"podrun/container/oci"
)

// attempts bounds how often Create begins again when another process removes
// a level that it took for empty.
const attempts = 20

// Create makes a pod's cgroup in every hierarchy, and the levels above it, and
// sets their limits. Doing it again changes nothing. What a failure leaves
// behind, Remove takes away.
func (d *Driver) Create(pod *v1.Pod) error {
	if !isName(string(pod.UID)) {
		return fmt.Errorf("create cgroup of pod %q: not a name", pod.UID)
	}
	create := d.create
	if d.systemd {
		create = d.createSlice
	}
	var err error
	for range attempts {
		if err = create(pod); !gone(err) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("create cgroup %s: %w", d.Path(pod), err)
	}
	return nil
}

// create first makes the pod's cgroup, which keeps the levels above it, and
// only then sets anything.
func (d *Driver) create(pod *v1.Pod) error {
	for _, h := range d.hierarchies {
		if err := d.mkdir(h, d.Path(pod)); err != nil {
			return err
		}
	}
	if err := d.set(d.path("", ""), machineLimits()); err != nil {
		return err
	}
	if err := d.set(d.Path(pod), Resources(pod, d.HugePages())); err != nil {
		return err
	}
	switch level(pod) {
	case bestEffort:
		return d.set(d.path(bestEffort, ""), Limits{CPUShares: minShares})
	case burstable:
		return d.weigh()
	}
	return nil
}

// machineLimits are those of all pods together.
func machineLimits() Limits {
	return Limits{CPUShares: oci.CPUShares(int64(runtime.NumCPU()) * 1000)}
}

// mkdir makes a cgroup in a hierarchy from the top down.
func (d *Driver) mkdir(h hierarchy, cgroup string) error {
	dir := h.path
	for name := range strings.SplitSeq(strings.Trim(cgroup, "/"), "/") {
		if d.unified {
			enable(dir)
		}
		dir = filepath.Join(dir, name)
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if !h.has("cpuset") {
			continue
		}
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
			if err := inherit(dir, file); err != nil {
				return err
			}
		}
	}
	return nil
}

// enable gives the cgroups below dir all controllers that dir has, at once: a
// cgroup with processes refuses that, where one controller after the other
// would make it the root of a threaded tree, below which no process can be put.
// On its own, a controller that cannot be given keeps the others from nobody;
// who sets its limits misses it.
func enable(dir string) {
	has, _ := cgroups.ReadFile(dir, "cgroup.controllers")
	given, _ := cgroups.ReadFile(dir, "cgroup.subtree_control")
	var missing []string
	for controller := range strings.FieldsSeq(has) {
		if !slices.Contains(strings.Fields(given), controller) {
			missing = append(missing, "+"+controller)
		}
	}
	if len(missing) == 0 {
		return
	}
	err := cgroups.WriteFile(dir, "cgroup.subtree_control", strings.Join(missing, " "))
	if err == nil || errors.Is(err, unix.EBUSY) {
		return
	}
	for _, controller := range missing {
		_ = cgroups.WriteFile(dir, "cgroup.subtree_control", controller)
	}
}

// inherit copies a file from the cgroup above when it is empty: a v1 cpuset
// takes no process before it has CPUs and memory nodes.
func inherit(dir, file string) error {
	own, err := cgroups.ReadFile(dir, file)
	if err != nil || strings.TrimSpace(own) != "" {
		return err
	}
	parent, err := cgroups.ReadFile(filepath.Dir(dir), file)
	if err != nil {
		return err
	}
	return cgroups.WriteFile(dir, file, strings.TrimSpace(parent))
}

func (d *Driver) set(cgroup string, limits Limits) error {
	for _, s := range limits.settings(d.unified) {
		dir, err := d.dir(s.controller, cgroup)
		if err != nil {
			return err
		}
		if err := cgroups.WriteFile(dir, s.file, s.value); err != nil {
			return err
		}
	}
	return nil
}

// weigh gives the burstable level the share that its pods have together. Others
// may do the same at the same time, with an older view: so look again after
// writing, until nothing is to be changed. The last one to write sees all pods.
func (d *Driver) weigh() error {
	file := "cpu.shares"
	if d.unified {
		file = "cpu.weight"
	}
	dir, err := d.dir("cpu", d.path(burstable, ""))
	if err != nil {
		return err
	}
	for range attempts {
		pods, err := d.podShares(dir, file)
		if err != nil {
			return err
		}
		current, err := readUint(dir, file)
		want := together(d.unified, pods)
		if err != nil || current == want {
			return err
		}
		if err := cgroups.WriteFile(dir, file, strconv.FormatUint(want, 10)); err != nil {
			return err
		}
	}
	return nil
}

// podShares reads a file of each burstable pod, whose cgroups are below dir.
func (d *Driver) podShares(dir, file string) ([]uint64, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var shares []uint64
	for _, e := range entries {
		if _, ok := d.uidOf(burstable, e.Name()); !ok || !e.IsDir() {
			continue
		}
		n, err := readUint(filepath.Join(dir, e.Name()), file)
		if gone(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		shares = append(shares, n)
	}
	return shares, nil
}

func readUint(dir, file string) (uint64, error) {
	text, err := cgroups.ReadFile(dir, file)
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(strings.TrimSpace(text), 10, 64)
}
