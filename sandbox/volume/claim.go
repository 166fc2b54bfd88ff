package volume

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
	v1 "k8s.io/api/core/v1"
)

// setupClaim makes the directory of a claim that is used for the first time:
// everybody may write into it, as into an emptyDir. What it is later belongs to
// those who use it.
func setupClaim(in Input, source *v1.PersistentVolumeClaimVolumeSource) (Volume, error) {
	if _, ok := in.Objects.Claims[source.ClaimName]; !ok {
		return Volume{}, fmt.Errorf("persistentvolumeclaim %q not found", source.ClaimName)
	}
	path := claimPath(in.Claims, in.Pod.Namespace, source.ClaimName)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return Volume{}, err
	}
	if err := os.Mkdir(path, unopened); err != nil && !errors.Is(err, fs.ErrExist) {
		return Volume{}, err
	}
	if err := openToAll(path); err != nil {
		return Volume{}, err
	}
	return Volume{Path: path, ReadOnly: source.ReadOnly, Own: true}, giveClaim(in, source, path)
}

// giveClaim gives all that is in a claim to the pod's group for volumes, once
// for each pod, or with OnRootMismatch only when its root is not the group's yet
// (kubelet: SetVolumeOwnership). Others may be at work in it meanwhile.
func giveClaim(in Input, source *v1.PersistentVolumeClaimVolumeSource, path string) error {
	sc := in.Pod.Spec.SecurityContext
	given := filepath.Join(in.Dir, "kubernetes.io~claim", source.ClaimName)
	if sc == nil || sc.FSGroup == nil {
		return nil
	}
	if _, err := os.Lstat(given); err == nil {
		return nil
	}
	mode := fs.FileMode(0o660)
	if source.ReadOnly {
		mode = 0o440
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return err
	}
	defer root.Close()
	onMismatch := sc.FSGroupChangePolicy != nil && *sc.FSGroupChangePolicy == v1.FSGroupChangeOnRootMismatch
	if !onMismatch || !belongs(root, *sc.FSGroup, mode) {
		if err := giveTree(root, int(*sc.FSGroup), mode); err != nil {
			return err
		}
	}
	return errors.Join(os.MkdirAll(filepath.Dir(given), 0o700), os.WriteFile(given, nil, 0o600))
}

// belongs says whether a directory is a group's as giveTree makes it.
func belongs(root *os.Root, group int64, mode fs.FileMode) bool {
	info, err := root.Lstat(".")
	if err != nil {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	want := os.ModeSetgid | mode | 0o110
	return ok && int64(stat.Gid) == group && info.Mode()&want == want
}

// giveTree never leaves the directory, whatever links in it say. The root comes
// last: it tells that all is done.
func giveTree(root *os.Root, group int, mode fs.FileMode) error {
	give := func(name string, info fs.FileInfo) error {
		if err := root.Lchown(name, -1, group); err != nil || info.Mode()&fs.ModeSymlink != 0 {
			return err
		}
		grown := info.Mode() | mode
		if info.IsDir() {
			grown |= os.ModeSetgid | 0o110
		}
		return root.Chmod(name, grown)
	}
	err := fs.WalkDir(root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		if name == "." || errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			err = give(name, info)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil // removed meanwhile
		}
		return err
	})
	if err != nil {
		return err
	}
	info, err := root.Lstat(".")
	if err != nil {
		return err
	}
	return give(".", info)
}

// unopened is the mode of a claim's directory before it is opened to everybody.
const unopened = 0o700

// openToAll gives a directory that has just been made the mode that it is to
// have, whatever the umask, also when its maker was killed before it did so.
func openToAll(dir string) error {
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != unopened {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) > 0 {
		return err
	}
	return os.Chmod(dir, 0o777)
}

func claimPath(claims, namespace, name string) string { return filepath.Join(claims, namespace, name) }

// RemoveClaim removes the data of a claim that nobody uses.
func RemoveClaim(ctx context.Context, claims, namespace, name string) error {
	if err := Remove(ctx, claimPath(claims, namespace, name)); err != nil {
		return err
	}
	for _, dir := range []string{filepath.Join(claims, namespace), claims} {
		_ = unix.Rmdir(dir) // unless there are others
	}
	return nil
}
