package sandbox

import (
	"podrun/sandbox/cgroup"
	"podrun/sandbox/network"
)

// Usage is what a container of the sandbox uses, by its ID; the whole pod when
// that is empty.
func (s *Store) Usage(sb *Sandbox, id string) (cgroup.Usage, error) {
	cgroups, err := s.cgroupsOf(sb)
	if err != nil {
		return cgroup.Usage{}, err
	}
	path := cgroups.Path(sb.Pod)
	if id != "" {
		path = cgroups.ContainerPath(sb.Pod, id)
	}
	return cgroups.Usage(path)
}

// Traffic is what went through the pod's interface; false when it has none of
// its own.
func (s *Store) Traffic(sb *Sandbox) (network.Traffic, bool, error) {
	netns := s.netNS(sb)
	if netns == "" {
		return network.Traffic{}, false, nil
	}
	traffic, err := network.ReadTraffic(netns)
	return traffic, err == nil, err
}
