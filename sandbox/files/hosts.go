package files

import (
	"bytes"
	"fmt"
	"strings"

	v1 "k8s.io/api/core/v1"
)

// maxHostname is the longest name that the kernel takes for a host, in bytes.
const maxHostname = 63

const (
	hostsHeader = `# Kubernetes-managed hosts file.
127.0.0.1	localhost
::1	localhost ip6-localhost ip6-loopback
fe00::0	ip6-localnet
fe00::0	ip6-mcastprefix
fe00::1	ip6-allnodes
fe00::2	ip6-allrouters
`
	hostNetworkHostsHeader = "# Kubernetes-managed hosts file (host network).\n"
)

// Hostname is the host name that the pod's containers have: the machine's with
// the host's network, otherwise spec.hostname or the pod's name, cut to what the
// kernel takes (kubelet: GeneratePodHostNameAndDomain).
func Hostname(pod *v1.Pod, nodeName string) (string, error) {
	if pod.Spec.HostNetwork {
		return nodeName, nil
	}
	name := pod.Name
	if pod.Spec.Hostname != "" {
		name = pod.Spec.Hostname
	}
	if len(name) <= maxHostname {
		return name, nil
	}
	cut := strings.TrimRight(name[:maxHostname], "-.")
	if cut == "" {
		return "", fmt.Errorf("hostname for pod %q was invalid: %q", pod.Name, name)
	}
	return cut, nil
}

// Hosts renders /etc/hosts as a kubelet does. nodeHosts is the machine's own
// file, which a pod with the host's network gets.
func Hosts(pod *v1.Pod, hostname string, ips []string, nodeHosts []byte) []byte {
	var b bytes.Buffer
	if pod.Spec.HostNetwork {
		b.WriteString(hostNetworkHostsHeader)
		b.Write(nodeHosts)
	} else {
		b.WriteString(hostsHeader)
		for _, ip := range ips {
			fmt.Fprintf(&b, "%s\t%s\n", ip, hostname)
		}
	}
	if len(pod.Spec.HostAliases) > 0 {
		b.WriteString("\n# Entries added by HostAliases.\n")
	}
	for _, alias := range pod.Spec.HostAliases {
		fmt.Fprintf(&b, "%s\t%s\n", alias.IP, strings.Join(alias.Hostnames, "\t"))
	}
	return b.Bytes()
}
