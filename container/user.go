package container

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/containerd/containerd/v2/core/mount"
	"github.com/moby/sys/user"
	"golang.org/x/sys/unix"

	"podrun/container/oci"
)

// maxAccounts bounds how much of an image's passwd or group file is read.
const maxAccounts = 4 << 20

// ResolveUser finds the ids that an identity means in the image's own passwd
// and group files. As in Kubernetes a uid that passwd does not know gets group
// 0, and the groups that the image lists the user in are added unless that is
// not wanted. The layers of rootfs are mounted at dir for as long as it takes.
func ResolveUser(identity oci.Identity, rootfs []mount.Mount, dir string) (_ oci.User, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return oci.User{}, err
	}
	if err := mount.All(layersOf(rootfs), dir); err != nil {
		return oci.User{}, fmt.Errorf("mount root filesystem: %w", err)
	}
	defer func() {
		err = errors.Join(err, mount.UnmountAll(dir, unix.MNT_DETACH), os.Remove(dir))
	}()
	found, err := lookUp(identity.User, dir)
	if err != nil {
		return oci.User{}, err
	}
	if identity.Strict {
		found.AdditionalGids = nil
	}
	if identity.Group != nil {
		found.GID = *identity.Group
	}
	found.AdditionalGids = append(found.AdditionalGids, identity.Groups...)
	return found, nil
}

// lookUp finds user[:group], each a name or a number, in the passwd and group
// files below root.
func lookUp(spec, root string) (oci.User, error) {
	if err := oci.CheckIDs(spec); err != nil {
		return oci.User{}, err
	}
	passwd, err := openInside(root, "etc/passwd")
	if err != nil {
		return oci.User{}, err
	}
	defer passwd.Close()
	group, err := openInside(root, "etc/group")
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
