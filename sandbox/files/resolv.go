package files

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
)

const (
	hostResolvConfPath = "/etc/resolv.conf"
	// systemdResolvConfPath has the servers that systemd-resolved asks; its stub on
	// 127.0.0.53 cannot be reached from a pod's network.
	systemdResolvConfPath = "/run/systemd/resolve/resolv.conf"

	maxResolvConfSize = 10 << 20 // bytes; a kubelet reads no more
)

// Limits of a resolver's configuration (kubelet: network/dns).
const (
	maxNameservers  = 3
	maxSearchPaths  = 32
	maxSearchLength = 2048 // characters of the search line
	maxSearchPath   = 253  // characters of one search path
)

// ResolvConf renders a pod's /etc/resolv.conf: the host's, of which the last
// search line counts, with what the pod's dnsConfig adds; with dnsPolicy None
// that alone. omitted is what does not fit into a resolver's limits.
func ResolvConf(pod *v1.Pod, host []byte) (file []byte, omitted []string) {
	var conf resolvConf
	if pod.Spec.DNSPolicy != v1.DNSNone {
		conf = parseResolvConf(host)
	}
	conf.add(pod.Spec.DNSConfig)
	search, tooMuch := fitSearch(conf.search)
	servers := conf.nameservers[:min(len(conf.nameservers), maxNameservers)]
	var b bytes.Buffer
	if len(search) > 0 {
		fmt.Fprintf(&b, "search %s\n", strings.Join(search, " "))
	}
	for _, server := range servers {
		fmt.Fprintf(&b, "nameserver %s\n", server)
	}
	if len(conf.options) > 0 {
		fmt.Fprintf(&b, "options %s\n", strings.Join(conf.options, " "))
	}
	return b.Bytes(), slices.Concat(conf.nameservers[len(servers):], tooMuch)
}

// add merges a pod's own configuration into the host's (kubelet:
// appendDNSConfig).
func (c *resolvConf) add(config *v1.PodDNSConfig) {
	if config == nil {
		return
	}
	c.nameservers = appendNew(c.nameservers, config.Nameservers)
	c.search = appendNew(c.search, config.Searches)
	for _, option := range config.Options {
		text := option.Name
		if option.Value != nil && *option.Value != "" {
			text += ":" + *option.Value
		}
		c.options = addOptions(c.options, []string{text})
	}
}

// appendNew appends, and keeps of each the first one only.
func appendNew(list, more []string) []string {
	var all []string
	for _, item := range slices.Concat(list, more) {
		if !slices.Contains(all, item) {
			all = append(all, item)
		}
	}
	return all
}

type resolvConf struct {
	nameservers, search, options []string
}

func parseResolvConf(data []byte) resolvConf {
	var conf resolvConf
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		switch key, values := fields[0], fields[1:]; key {
		case "nameserver":
			conf.nameservers = append(conf.nameservers, values[:min(len(values), 1)]...)
		case "search":
			conf.search = nil
			for _, path := range values {
				if path != "." {
					conf.search = append(conf.search, strings.TrimSuffix(path, "."))
				}
			}
		case "options":
			conf.options = addOptions(conf.options, values)
		}
	}
	return conf
}

// addOptions lets a later value of an option win, at the place of the first.
func addOptions(options, more []string) []string {
	for _, option := range more {
		name, _, _ := strings.Cut(option, ":")
		at := slices.IndexFunc(options, func(o string) bool {
			old, _, _ := strings.Cut(o, ":")
			return old == name
		})
		if at >= 0 {
			options[at] = option
		} else {
			options = append(options, option)
		}
	}
	return options
}

// fitSearch returns what fits of the search paths, and what does not.
func fitSearch(search []string) (fit, omitted []string) {
	for _, path := range search {
		line := strings.Join(append(slices.Clone(fit), path), " ")
		if len(fit) == maxSearchPaths || len(path) > maxSearchPath || len(line) > maxSearchLength {
			omitted = append(omitted, path)
			continue
		}
		fit = append(fit, path)
	}
	return fit, omitted
}

// hostResolvConf reads the host's configuration. Where the host asks nobody but
// systemd-resolved's stub and the pod cannot reach that, it is the configuration
// of systemd-resolved. A host without one is no error: the file is empty.
func hostResolvConf(hostNetwork bool) ([]byte, error) {
	data, err := readResolvConf(hostResolvConfPath)
	if err != nil || hostNetwork || !onlyLoopback(parseResolvConf(data).nameservers) {
		return data, err
	}
	real, err := readResolvConf(systemdResolvConfPath)
	if err != nil || len(real) == 0 {
		return data, err
	}
	return real, nil
}

func readResolvConf(path string) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxResolvConfSize))
}

func onlyLoopback(nameservers []string) bool {
	return !slices.ContainsFunc(nameservers, func(server string) bool {
		addr, err := netip.ParseAddr(server)
		return err != nil || !addr.IsLoopback()
	})
}
