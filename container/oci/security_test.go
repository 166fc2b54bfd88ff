package oci

import (
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"
)

func TestGranted(t *testing.T) {
	t.Parallel()
	all := []string{"CAP_CHOWN", "CAP_KILL", "CAP_SYS_ADMIN"}
	caps := func(s string) (list []v1.Capability) {
		for name := range strings.FieldsSeq(s) {
			list = append(list, v1.Capability(name))
		}
		return list
	}
	defaults := strings.Join(capabilities, " ")
	for _, test := range []struct{ add, drop, want string }{
		{"", "", defaults},
		{"SYS_ADMIN", "", defaults + " CAP_SYS_ADMIN"},
		{"CHOWN", "", defaults},
		{"", "all", ""},
		{"kill", "ALL", "CAP_KILL"},
		{"ALL", "", "CAP_CHOWN CAP_KILL CAP_SYS_ADMIN"},
		{"ALL", "CHOWN", "CAP_KILL CAP_SYS_ADMIN"},
		{"ALL NET_ADMIN", "ALL", "CAP_NET_ADMIN"},
		{"KILL", "ALL KILL", ""},
	} {
		got := strings.Join(granted(&v1.Capabilities{Add: caps(test.add), Drop: caps(test.drop)}, all), " ")
		if got != test.want {
			t.Errorf("add %s, drop %s: got %s", test.add, test.drop, got)
		}
	}
	if strings.Join(capabilities, " ") != defaults {
		t.Error("the table was changed")
	}
}

func TestSysctlName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"kernel.sem":                    "kernel.sem",
		"net/ipv4/tcp_rmem":             "net.ipv4.tcp_rmem",
		"net.ipv4.conf.eno2/100.disc":   "net.ipv4.conf.eno2/100.disc",
		"net/ipv4/conf/eno2.100/accept": "net.ipv4.conf.eno2/100.accept",
		"one":                           "one",
	} {
		if got := SysctlName(name); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}
