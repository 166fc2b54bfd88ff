package files

import (
	"bytes"
	"fmt"
	"strings"

	v1 "k8s.io/api/core/v1"
)

const (
	// maxHostname is the longest host name there is in DNS, in bytes.
	maxHostname = 63
	// maxNodename is the longest name that the kernel takes for a host, in bytes.
	maxNodename = 64
	// clusterDomain is a kubelet's default.
	clusterDomain = "cluster.local"
)

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

// Hostname is the host name that the pod's containers have from the kernel: the
// machine's with the host's network, otherwise the pod's own, with its domain
// when the pod asks for that (kubelet: GetNodenameForKernel).
func Hostname(pod *v1.Pod, nodeName string) (string, error) {
	if pod.Spec.HostNetwork {
		return nodeName, nil
	}
	host, domain, err := names(pod)
	fqdn := pod.Spec.SetHostnameAsFQDN
	if err != nil || domain == "" || fqdn == nil || !*fqdn {
		return host, err
	}
	full := host + "." + domain
	if len(full) > maxNodename {
		return "", fmt.Errorf("failed to construct FQDN from pod hostname and cluster domain, FQDN %s is too long (%d characters is the max, %d characters requested)",
			full, maxNodename, len(full))
	}
	return full, nil
}

// names are the pod's host name, cut to what DNS takes, and the domain that it
// is in, if any (kubelet: GeneratePodHostNameAndDomain).
func names(pod *v1.Pod) (host, domain string, err error) {
	host = pod.Name
	switch {
	case pod.Spec.HostnameOverride != nil:
		host = *pod.Spec.HostnameOverride
	case pod.Spec.Hostname != "":
		host = pod.Spec.Hostname
	}
	if pod.Spec.Subdomain != "" && pod.Spec.HostnameOverride == nil {
		domain = pod.Spec.Subdomain + "." + pod.Namespace + ".svc." + clusterDomain
	}
	if len(host) <= maxHostname {
		return host, domain, nil
	}
	cut := strings.TrimRight(host[:maxHostname], "-.")
	if cut == "" {
		return "", "", fmt.Errorf("hostname for pod %q was invalid: %q", pod.Name, host)
	}
	return cut, domain, nil
}

// Hosts renders /etc/hosts as a kubelet does. nodeHosts is the machine's own
// file, which a pod with the host's network gets.
func Hosts(pod *v1.Pod, ips []string, nodeHosts []byte) ([]byte, error) {
	host, domain, err := names(pod)
	if err != nil {
		return nil, err
	}
	if domain != "" {
		host = host + "." + domain + "\t" + host
	}
	var b bytes.Buffer
	if pod.Spec.HostNetwork {
		b.WriteString(hostNetworkHostsHeader)
		b.Write(nodeHosts)
	} else {
		b.WriteString(hostsHeader)
		for _, ip := range ips {
			fmt.Fprintf(&b, "%s\t%s\n", ip, host)
		}
	}
	if len(pod.Spec.HostAliases) > 0 {
		b.WriteString("\n# Entries added by HostAliases.\n")
	}
	for _, alias := range pod.Spec.HostAliases {
		fmt.Fprintf(&b, "%s\t%s\n", alias.IP, strings.Join(alias.Hostnames, "\t"))
	}
	return b.Bytes(), nil
}
