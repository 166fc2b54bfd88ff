package leakcheck

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/moby/sys/mountinfo"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// shared are the directories of other tools, and podrun's default ones, where
// a podrun with directories of its own must never leave anything.
var shared = []string{
	"/run/netns", "/run/cni", "/var/lib/cni",
	"/run/containerd/s", "/run/containerd/fifo", "/run/runc",
	"/run/podrun", "/var/lib/podrun",
}

// churn are cgroups that come and go with the logins and the services of the
// machine. What podrun made inside them is listed all the same.
var churn = []string{"/process_api", "/user.slice", "/system.slice", "/init.scope"}

// ours tells a cgroup of podrun or of a container from one of a session.
var ours = regexp.MustCompile(`podrun|pod[0-9a-f]{8}[-_][0-9a-f]{4}|[0-9a-f]{64}`)

// Machine lists what belongs to no instance alone: links, addresses and routes
// of the host's network namespace, mounts, cgroups of every hierarchy,
// units of systemd, firewall rules, the processes of container software, and the files in the
// directories that container tools share.
func Machine(ctx context.Context) (Listing, error) {
	l := Listing{}
	for _, add := range []func(context.Context, Listing) error{
		addLinks, addRoutes, addMounts, addCgroups, addUnits, addRules, addRuntimes, addShared,
	} {
		if err := add(ctx, l); err != nil {
			return nil, err
		}
	}
	return l, nil
}

func addLinks(_ context.Context, l Listing) error {
	links, err := whole(func() ([]netlink.Link, error) { return netlink.LinkList() })
	if err != nil {
		return fmt.Errorf("list links: %w", err)
	}
	names := map[int]string{}
	for _, link := range links {
		names[link.Attrs().Index] = link.Attrs().Name
	}
	for _, link := range links {
		l.addf("link %s %s master=%s", link.Attrs().Name, link.Type(), names[link.Attrs().MasterIndex])
	}
	addrs, err := whole(func() ([]netlink.Addr, error) { return netlink.AddrList(nil, netlink.FAMILY_ALL) })
	if err != nil {
		return fmt.Errorf("list addresses: %w", err)
	}
	for _, a := range addrs {
		l.addf("addr %s dev=%s", a.IPNet, names[a.LinkIndex])
	}
	return nil
}

// addRoutes lists the routes of all tables, but for those that the kernel
// adds to the local table for each address.
func addRoutes(_ context.Context, l Listing) error {
	routes, err := whole(func() ([]netlink.Route, error) {
		return netlink.RouteListFiltered(netlink.FAMILY_ALL,
			&netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE)
	})
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return fmt.Errorf("list routes: %w", err)
	}
	for _, r := range routes {
		if r.Table != unix.RT_TABLE_LOCAL {
			l.addf("route %s via=%s link=%d table=%d", r.Dst, r.Gw, r.LinkIndex, r.Table)
		}
	}
	return nil
}

// addMounts lists all mounts of this mount namespace, which are also the
// namespaces that are held by a bind mount (nsfs).
func addMounts(_ context.Context, l Listing) error {
	mounts, err := mountinfo.GetMounts(nil)
	if err != nil {
		return fmt.Errorf("list mounts: %w", err)
	}
	for _, m := range mounts {
		l.addf("mount %s %s %s", m.Mountpoint, m.FSType, m.Root)
	}
	return nil
}

func addCgroups(_ context.Context, l Listing) error {
	mounts, err := mountinfo.GetMounts(mountinfo.FSTypeFilter("cgroup", "cgroup2"))
	if err != nil {
		return fmt.Errorf("list cgroup mounts: %w", err)
	}
	for _, m := range mounts {
		err := filepath.WalkDir(m.Mountpoint, func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil // removed while walking
			}
			if err != nil || !d.IsDir() {
				return err
			}
			if group := strings.TrimPrefix(path, m.Mountpoint); steady(group) {
				l.addf("cgroup %s:%s", filepath.Base(m.Mountpoint), group)
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("list cgroups: %w", err)
		}
	}
	return nil
}

// steady says whether a cgroup is to be listed: see churn.
func steady(group string) bool {
	session := slices.ContainsFunc(churn, func(dir string) bool { return strings.HasPrefix(group, dir+"/") })
	return group != "" && (!session || ours.MatchString(filepath.Base(group)))
}

// unitDirs are where systemd keeps the transient units, and what was changed of
// others until the next boot.
var unitDirs = []string{"/run/systemd/transient", "/run/systemd/system.control"}

// addUnits lists systemd's units of podrun and of containers.
func addUnits(_ context.Context, l Listing) error {
	for _, dir := range unitDirs {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("list units: %w", err)
		}
		for _, e := range entries {
			if ours.MatchString(e.Name()) {
				l.addf("unit %s", filepath.Join(dir, e.Name()))
			}
		}
	}
	return nil
}

// addRules lists the rules, chains and tables of nftables and of both kinds of
// iptables, whichever programs there are, without counters.
func addRules(ctx context.Context, l Listing) error {
	for _, argv := range [][]string{
		{"nft", "--stateless", "list", "ruleset"},
		{"iptables-nft-save"}, {"ip6tables-nft-save"},
		{"iptables-legacy-save"}, {"ip6tables-legacy-save"},
	} {
		out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).Output()
		if errors.Is(err, exec.ErrNotFound) {
			continue
		}
		if err != nil {
			return fmt.Errorf("run %s: %w", argv[0], err)
		}
		if argv[0] == "nft" {
			addNFT(l, out)
		} else {
			addSaved(l, strings.TrimSuffix(argv[0], "-save"), out)
		}
	}
	return nil
}

// addNFT adds each line of a ruleset with the table and chain it stands in.
func addNFT(l Listing, ruleset []byte) {
	var in []string
	for s := bufio.NewScanner(bytes.NewReader(ruleset)); s.Scan(); {
		switch text := strings.TrimSpace(s.Text()); {
		case text == "" || strings.HasPrefix(text, "#"):
		case text == "}":
			in = in[:max(0, len(in)-1)]
		case strings.HasSuffix(text, "{"):
			in = append(in, strings.TrimSuffix(text, " {"))
			l.addf("nft %s", strings.Join(in, " "))
		default:
			l.addf("nft %s: %s", strings.Join(in, " "), text)
		}
	}
}

// addSaved adds the output of iptables-save, each line with its table. A
// built-in chain is no thing of its own: it comes into being when looked at.
func addSaved(l Listing, program string, saved []byte) {
	table := ""
	for s := bufio.NewScanner(bytes.NewReader(saved)); s.Scan(); {
		text := s.Text()
		switch {
		case text == "" || text == "COMMIT" || text[0] == '#':
		case text[0] == '*':
			table = text[1:]
		case text[0] == ':':
			if name, rest, _ := strings.Cut(text[1:], " "); strings.HasPrefix(rest, "-") {
				l.addf("iptables %s %s chain %s", program, table, name)
			}
		default:
			l.addf("iptables %s %s %s", program, table, text)
		}
	}
}

// addShared lists what stands in the directories of shared. That one of them
// exists is no trace: the first daemon of the machine makes it.
func addShared(_ context.Context, l Listing) error {
	for _, dir := range shared {
		if err := addFiles(l, dir); err != nil {
			return err
		}
		delete(l, fmt.Sprintf("file %s dir", dir))
	}
	return nil
}

// addFiles lists everything at and below dir with its type, without leaving
// its file system, and without looking into what closed says. A directory that
// does not exist has no lines.
func addFiles(l Listing, dir string) error {
	var top unix.Stat_t
	if unix.Lstat(dir, &top) != nil {
		return nil
	}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // removed while walking
		}
		if err != nil {
			return err
		}
		l.addf("file %s %s", path, kind(d.Type()))
		if !d.IsDir() {
			return nil
		}
		var st unix.Stat_t
		if unix.Lstat(path, &st) != nil || st.Dev != top.Dev || closed(path) {
			return fs.SkipDir
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("list files of %s: %w", dir, err)
	}
	return nil
}

// closed names directories that are one thing with all they hold: an unpacked
// layer, and a staged bundle.
func closed(dir string) bool {
	parent := filepath.Base(filepath.Dir(dir))
	return parent == "snapshots" || parent == "bundle"
}

func kind(t os.FileMode) string {
	switch {
	case t.IsDir():
		return "dir"
	case t.IsRegular():
		return "regular"
	case t&os.ModeNamedPipe != 0:
		return "fifo"
	case t&os.ModeSocket != 0:
		return "socket"
	case t&os.ModeSymlink != 0:
		return "symlink"
	default:
		return "device"
	}
}

// whole reads a list of the kernel's again when it changed while it was read.
func whole[T any](list func() ([]T, error)) (items []T, err error) {
	for range 20 {
		if items, err = list(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	return items, err
}
