package manifest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"podrun/container/oci"
)

// Machine is what a pod may ask of a machine, and not every machine has or
// gives.
type Machine struct {
	AppArmor bool        // the kernel enforces it
	SELinux  func() bool // likewise; asked when it is needed
	// Runtimes are the names that runtimeClassName may have, and HugePages the
	// resources of huge pages that can be limited, such as hugepages-2Mi. They
	// are asked for when they are needed.
	Runtimes, HugePages func() []string
	// UnsafeSysctls are allowed beside the safe ones: names, or beginnings of
	// names with a "*" at the end.
	UnsafeSysctls []string
}

// fits refuses what the machine does not have or give.
func (d *decoder) fits(doc document, pod *v1.Pod) {
	sc := field.NewPath("spec", "securityContext")
	if context := pod.Spec.SecurityContext; context != nil {
		d.appArmor(doc, context.AppArmorProfile, sc.Child("appArmorProfile"))
		d.seLinux(doc, context.SELinuxOptions, sc.Child("seLinuxOptions"))
		for i, sysctl := range context.Sysctls {
			if why := forbidden(oci.SysctlName(sysctl.Name), d.machine.UnsafeSysctls); why != "" {
				d.condition(doc, sc.Child("sysctls").Index(i).Child("name"), why)
			}
		}
	}
	if name := pod.Spec.RuntimeClassName; name != nil {
		if runtimes := d.machine.Runtimes(); !slices.Contains(runtimes, *name) {
			d.condition(doc, field.NewPath("spec", "runtimeClassName"),
				fmt.Sprintf("no runtime for %q is configured: this machine has %s", *name, strings.Join(runtimes, ", ")))
		}
	}
	eachContainer(&pod.Spec, func(path *field.Path, c *v1.Container) {
		if context := c.SecurityContext; context != nil {
			d.appArmor(doc, context.AppArmorProfile, path.Child("securityContext", "appArmorProfile"))
			d.seLinux(doc, context.SELinuxOptions, path.Child("securityContext", "seLinuxOptions"))
		}
	})
}

func (d *decoder) appArmor(doc document, profile *v1.AppArmorProfile, at *field.Path) {
	if profile != nil && profile.Type != v1.AppArmorProfileTypeUnconfined && !d.machine.AppArmor {
		d.condition(doc, at, "cannot enforce AppArmor: it is not enabled on this machine")
	}
}

func (d *decoder) seLinux(doc document, options *v1.SELinuxOptions, at *field.Path) {
	if options != nil && *options != (v1.SELinuxOptions{}) && !d.machine.SELinux() {
		d.condition(doc, at, "cannot enforce SELinux: it is not enabled on this machine, or its policy does not know containers")
	}
}

// safeSysctls are those that do no harm to others (kubelet: sysctl/safe_sysctls.go).
var safeSysctls = []string{
	"kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range",
	"net.ipv4.ip_unprivileged_port_start", "net.ipv4.ip_local_reserved_ports", "net.ipv4.tcp_keepalive_time",
	"net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem",
}

// ownSysctls are those that each pod has of its own.
var ownSysctls = []string{"kernel.shm*", "kernel.msg*", "kernel.sem", "fs.mqueue.*", "net.*"}

// forbidden says why a pod may not set a sysctl, "" when it may.
func forbidden(name string, allowed []string) string {
	own := among(name, ownSysctls)
	switch {
	case slices.Contains(safeSysctls, name), own && among(name, allowed):
		return ""
	case own:
		return fmt.Sprintf("forbidden sysctl: %q not allowlisted (--allowed-unsafe-sysctls=%s allows it)", name, name)
	}
	return fmt.Sprintf("forbidden sysctl: %q not allowlisted: it is the whole machine's", name)
}

// among tells whether a name is one of the patterns, or begins with one that
// ends in "*".
func among(name string, patterns []string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		prefix, open := strings.CutSuffix(pattern, "*")
		return name == pattern || open && strings.HasPrefix(name, prefix)
	})
}

// longName says that a pod asks for a host name that the kernel does not take;
// the text is the kubelet's.
func longName(pod *v1.Pod) string {
	spec := &pod.Spec
	if spec.SetHostnameAsFQDN == nil || !*spec.SetHostnameAsFQDN || spec.Subdomain == "" || spec.HostNetwork {
		return ""
	}
	host := pod.Name
	if spec.Hostname != "" {
		host = spec.Hostname
	}
	namespace := cmp.Or(pod.Namespace, v1.NamespaceDefault)
	full := strings.TrimRight(host[:min(len(host), 63)], "-.") + "." + spec.Subdomain + "." + namespace + ".svc.cluster.local"
	if len(full) <= 64 {
		return ""
	}
	return fmt.Sprintf("failed to construct FQDN from pod hostname and cluster domain, FQDN %s is too long (64 characters is the max, %d characters requested)", full, len(full))
}

// capabilities refuses names that the kernel does not know: a runtime drops
// them, and what was to be dropped would be kept.
func (d *decoder) capabilities(doc document, c *v1.Container, at *field.Path) {
	if c.SecurityContext == nil || c.SecurityContext.Capabilities == nil {
		return
	}
	check := func(names []v1.Capability, list string) {
		for i, name := range names {
			if kernel := oci.Capability(name); kernel != "CAP_ALL" && !slices.Contains(oci.Capabilities, kernel) {
				d.condition(doc, at.Child(list).Index(i), noCapability(string(name)))
			}
		}
	}
	check(c.SecurityContext.Capabilities.Add, "add")
	check(c.SecurityContext.Capabilities.Drop, "drop")
}

func noCapability(name string) string {
	if short, ok := strings.CutPrefix(strings.ToUpper(name), "CAP_"); ok && slices.Contains(oci.Capabilities, "CAP_"+short) {
		return fmt.Sprintf("%q is not a capability, did you mean %q?", name, short)
	}
	return fmt.Sprintf("%q is not a capability", name)
}
