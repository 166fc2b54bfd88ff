// Package leakcheck lists everything that a pod can leave behind on a machine,
// and tells two such listings apart.
//
// A listing is taken before a test and after it; what is new has leaked, and
// what is gone belonged to somebody else. It is made of plain lines, one a
// thing, whose first word is the class:
//
//	of the machine        link addr route mount cgroup unit nft iptables process file
//	of a podrun instance  file mount process fd
//	                      and of its containerd: container task snapshot lease
//	                      sandbox image content
//
// The package only looks. It never removes, signals or starts anything but the
// nft and iptables-save programs, and it knows podrun by its two directories
// alone, not by its code.
package leakcheck
