package container

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/containerd/containerd/v2/core/mount"
	"github.com/moby/sys/user"
	"golang.org/x/sys/unix"

	"podrun/container/oci"
)

// maxAccounts bounds how much of an image's passwd or group file is read.
const maxAccounts = 4 << 20

// ResolveUser finds the ids that an image's USER means: user[:group], each a
// name or a number, in the image's own passwd and group files. As in
// Kubernetes a uid that passwd does not know gets group 0, and the groups
// that the image lists the user in are added. rootfs is mounted at dir for as
// long as it takes.
func ResolveUser(spec string, rootfs []mount.Mount, dir string) (_ oci.User, err error) {
	if err := checkIDs(spec); err != nil {
		return oci.User{}, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return oci.User{}, err
	}
	if err := mount.All(rootfs, dir); err != nil {
		return oci.User{}, fmt.Errorf("mount root filesystem: %w", err)
	}
	defer func() {
		err = errors.Join(err, mount.UnmountAll(dir, unix.MNT_DETACH), os.Remove(dir))
	}()
	passwd, err := openInside(dir, "etc/passwd")
	if err != nil {
		return oci.User{}, err
	}
	defer passwd.Close()
	group, err := openInside(dir, "etc/group")
	if err != nil {
		return oci.User{}, err
	}
	defer group.Close()

	found, err := user.GetExecUser(spec, nil, io.LimitReader(passwd, maxAccounts), io.LimitReader(group, maxAccounts))
	if err != nil {
		return oci.User{}, fmt.Errorf("resolve user %q: %w", spec, err)
	}
	result := oci.User{UID: uint32(found.Uid), GID: uint32(found.Gid)}
	for _, gid := range found.Sgids {
		result.AdditionalGids = append(result.AdditionalGids, uint32(gid))
	}
	return result, nil
}

// checkIDs refuses numbers that are no id: they must neither wrap around to
// root nor be taken for a name.
func checkIDs(spec string) error {
	for part := range strings.SplitSeq(spec, ":") {
		if part == "" || strings.Trim(part, "+-0123456789") != "" {
			continue
		}
		if id, err := strconv.ParseInt(part, 10, 64); err != nil || id < 0 || id > math.MaxInt32 {
			return fmt.Errorf("resolve user %q: %s is no user or group id", spec, part)
		}
	}
	return nil
}

// openInside opens a file of an image for reading: symbolic links are
// followed inside the root only, and what is not a regular file is refused
// without ever blocking. A file that is not there reads as empty.
func openInside(root, name string) (*os.File, error) {
	dir, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", root, err)
	}
	defer unix.Close(dir)
	fd, err := unix.Openat2(dir, name, &unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_NONBLOCK | unix.O_CLOEXEC | unix.O_NOCTTY,
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	})
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		return os.Open(os.DevNull)
	}
	if err != nil {
		return nil, fmt.Errorf("open /%s of the image: %w", name, err)
	}
	file := os.NewFile(uintptr(fd), filepath.Join(root, name))
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("open /%s of the image: not a regular file", name)
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}
