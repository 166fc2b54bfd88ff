package cgroup

import (
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
	"k8s.io/kubernetes/pkg/apis/core/v1/helper/qos"
)

const (
	burstable  = "burstable"
	bestEffort = "besteffort"
	podPrefix  = "pod"
)

// levels are where pods are found, below the root.
var levels = []string{"", burstable, bestEffort}

// scopePrefix begins the names of the scopes that the runtime has systemd make
// for containers; see Parent.
const scopePrefix = "podrun"

// Path returns the path of a pod's cgroup, the same in every hierarchy, by the
// pod's QoS class and UID: "/podrun/burstable/pod<uid>", or with systemd
// "/podrun.slice/podrun-burstable.slice/podrun-burstable-pod<uid>.slice".
func (d *Driver) Path(pod *v1.Pod) string { return d.path(level(pod), string(pod.UID)) }

// ContainerPath is Path for a container of the pod, by its ID.
func (d *Driver) ContainerPath(pod *v1.Pod, id string) string {
	return path.Join(d.Path(pod), d.member(id))
}

// Parent names a pod's cgroup to an OCI runtime: by its path, or with systemd
// as the last slice of it.
func (d *Driver) Parent(pod *v1.Pod) string {
	if d.systemd {
		return path.Base(d.Path(pod))
	}
	return d.Path(pod)
}

// level is where pods of a QoS class are, below the root.
func level(pod *v1.Pod) string {
	switch qos.GetPodQOS(pod) {
	case v1.PodQOSBurstable:
		return burstable
	case v1.PodQOSBestEffort:
		return bestEffort
	}
	return ""
}

// path is that of a pod on a level, or of the level itself without a UID.
func (d *Driver) path(level, uid string) string {
	cgroup := path.Join("/", d.root, level)
	if uid != "" {
		cgroup = path.Join(cgroup, podPrefix+uid)
	}
	if d.systemd {
		return slicePath(cgroup)
	}
	return cgroup
}

// member is how the runtime names the cgroup of a container.
func (d *Driver) member(id string) string {
	if d.systemd {
		return scopePrefix + "-" + id + ".scope"
	}
	return id
}

// sliceName returns the name of the systemd slice that stands for a cgroup, as a
// kubelet with the systemd driver has it: "podrun-burstable-pod<uid>.slice"
// for "/podrun/burstable/pod<uid>", with "_" for each "-" of a name.
func sliceName(path string) string {
	escaped := strings.ReplaceAll(strings.Trim(path, "/"), "-", "_")
	return strings.ReplaceAll(escaped, "/", "-") + ".slice"
}

// slicePath is where systemd has the slice of a cgroup: below those of the
// cgroups above.
func slicePath(cgroup string) string {
	names := strings.Split(strings.Trim(cgroup, "/"), "/")
	dir := "/"
	for i := range names {
		dir = path.Join(dir, sliceName(path.Join(names[:i+1]...)))
	}
	return dir
}

// uidOf is the UID of the pod whose cgroup on a level has a name, if it is a pod's.
func (d *Driver) uidOf(level, name string) (string, bool) {
	if !d.systemd {
		uid, ok := strings.CutPrefix(name, podPrefix)
		return uid, ok && uid != ""
	}
	prefix := strings.TrimSuffix(sliceName(path.Join(d.root, level)), ".slice") + "-" + podPrefix
	uid, ok := strings.CutPrefix(name, prefix)
	uid, isSlice := strings.CutSuffix(uid, ".slice")
	return strings.ReplaceAll(uid, "_", "-"), ok && isSlice && uid != ""
}

// Pods returns the UIDs of all pods that have a cgroup in any hierarchy, made
// by whichever driver, sorted.
func (d *Driver) Pods() ([]string, error) {
	var uids []string
	for _, d := range d.both() {
		for _, h := range d.hierarchies {
			for _, level := range levels {
				entries, err := os.ReadDir(filepath.Join(h.path, d.path(level, "")))
				if err != nil && !gone(err) {
					return nil, err
				}
				for _, e := range entries {
					if uid, ok := d.uidOf(level, e.Name()); ok && e.IsDir() {
						uids = append(uids, uid)
					}
				}
			}
		}
	}
	slices.Sort(uids)
	return slices.Compact(uids), nil
}

// dirs are all the places where a pod's cgroup may be, made by whichever
// driver, or that of one of its containers.
func (d *Driver) dirs(uid, container string) []string {
	var dirs []string
	for _, d := range d.both() {
		for _, h := range d.hierarchies {
			for _, level := range levels {
				dir := filepath.Join(h.path, d.path(level, uid))
				if container != "" {
					dir = filepath.Join(dir, d.member(container))
				}
				dirs = append(dirs, dir)
			}
		}
	}
	return dirs
}

// isName says whether s can be the name of a single cgroup.
func isName(s string) bool {
	return s != "" && s != "." && s != ".." && !strings.ContainsAny(s, "/\n\x00")
}
