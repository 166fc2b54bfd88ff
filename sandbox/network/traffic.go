package network

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
)

// Traffic is what went through a pod's interface since that was made.
type Traffic struct {
	Interface          string
	RxBytes, TxBytes   uint64
	RxErrors, TxErrors uint64
}

// ReadTraffic reads the counters of a pod's interface in a network namespace.
func ReadTraffic(netns string) (Traffic, error) {
	traffic := Traffic{Interface: ifName}
	err := inNetNS(netns, func() error {
		link, err := netlink.LinkByName(ifName)
		if err != nil {
			return err
		}
		counters := link.Attrs().Statistics
		if counters == nil {
			return errors.New("the kernel does not count")
		}
		traffic.RxBytes, traffic.TxBytes = counters.RxBytes, counters.TxBytes
		traffic.RxErrors, traffic.TxErrors = counters.RxErrors, counters.TxErrors
		return nil
	})
	if err != nil {
		return Traffic{}, fmt.Errorf("read traffic of %s: %w", ifName, err)
	}
	return traffic, nil
}
