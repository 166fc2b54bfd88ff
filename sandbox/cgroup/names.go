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

// Parent returns the path of a pod's cgroup, the same in every hierarchy,
// by the pod's QoS class and UID: "/podrun/burstable/pod<uid>".
func (d *Driver) Parent(pod *v1.Pod) string {
	return path.Join(d.level(pod), podPrefix+string(pod.UID))
}

func (d *Driver) level(pod *v1.Pod) string {
	switch qos.GetPodQOS(pod) {
	case v1.PodQOSBurstable:
		return path.Join("/", d.root, burstable)
	case v1.PodQOSBestEffort:
		return path.Join("/", d.root, bestEffort)
	}
	return path.Join("/", d.root)
}

// Slice returns the name of the systemd slice that stands for a cgroup, as a
// kubelet with the systemd driver has it: "podrun-burstable-pod<uid>.slice"
// for "/podrun/burstable/pod<uid>", with "_" for each "-" of a name.
func Slice(path string) string {
	escaped := strings.ReplaceAll(strings.Trim(path, "/"), "-", "_")
	return strings.ReplaceAll(escaped, "/", "-") + ".slice"
}

// Pods returns the UIDs of all pods that have a cgroup in any hierarchy,
// sorted.
func (d *Driver) Pods() ([]string, error) {
	var uids []string
	for _, h := range d.hierarchies {
		for _, level := range levels {
			entries, err := os.ReadDir(filepath.Join(h.path, d.root, level))
			if err != nil && !gone(err) {
				return nil, err
			}
			for _, e := range entries {
				if uid, ok := strings.CutPrefix(e.Name(), podPrefix); ok && e.IsDir() && uid != "" {
					uids = append(uids, uid)
				}
			}
		}
	}
	slices.Sort(uids)
	return slices.Compact(uids), nil
}

// dirs are all the places where a pod's cgroup may be.
func (d *Driver) dirs(uid string) []string {
	var dirs []string
	for _, h := range d.hierarchies {
		for _, level := range levels {
			dirs = append(dirs, filepath.Join(h.path, d.root, level, podPrefix+uid))
		}
	}
	return dirs
}

// isName says whether s can be the name of a single cgroup.
func isName(s string) bool {
	return s != "" && s != "." && s != ".." && !strings.ContainsAny(s, "/\n\x00")
}
