package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"podrun/container"
)

// Orphans returns the UIDs of pods of which something is left, but no record:
// in the directories, among the network namespaces, in containerd.
func (s *Store) Orphans(ctx context.Context) ([]string, error) {
	// Records come before everything else of a pod and go after it. So what
	// was there before the records were read, and is of none of them, is
	// nobody's.
	uids, err := s.traces(ctx)
	if err != nil {
		return nil, err
	}
	records, err := s.List(ctx)
	if err != nil {
		return nil, err
	}
	for _, sb := range records {
		delete(uids, sb.UID())
	}
	maps.DeleteFunc(uids, func(uid string, _ bool) bool { return s.foreign(uid) })
	return slices.Sorted(maps.Keys(uids)), nil
}

// claimFile is the file in a pod's directory that names the containerd which
// has the pod's record. Directories may be used with several.
const claimFile = "containerd"

// claim makes a pod's directory and says in it where the record will be.
func (s *Store) claim(uid string) error {
	if err := os.MkdirAll(s.RootDir(uid), 0o700); err != nil {
		return fmt.Errorf("make directory of pod: %w", err)
	}
	if err := os.WriteFile(filepath.Join(s.RootDir(uid), claimFile), []byte(s.config.Containerd), 0o600); err != nil {
		return fmt.Errorf("claim directory of pod: %w", err)
	}
	return nil
}

// foreign says whether another containerd has the record of a pod.
func (s *Store) foreign(uid string) bool {
	claimed, err := os.ReadFile(filepath.Join(s.RootDir(uid), claimFile))
	return err == nil && string(claimed) != s.config.Containerd
}

// traces returns the UIDs of all pods of which there is anything.
func (s *Store) traces(ctx context.Context) (map[string]bool, error) {
	uids := map[string]bool{}
	for _, dir := range []string{
		filepath.Dir(s.RootDir("uid")),
		filepath.Dir(s.RunDir("uid")),
		filepath.Join(s.config.RunDir, "netns"),
	} {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("look for what pods left: %w", err)
		}
		for _, entry := range entries {
			uids[entry.Name()] = true
		}
	}
	containers, err := s.containers.List(ctx)
	if err != nil {
		return nil, err
	}
	for _, c := range containers {
		uids[c.Pod.UID] = true
	}
	snapshots, err := s.containers.Snapshots(ctx, "")
	if err != nil {
		return nil, err
	}
	for _, uid := range snapshots {
		uids[uid] = true
	}
	return uids, nil
}

// RemoveOrphan removes what is left of a pod of which there is no record.
func (s *Store) RemoveOrphan(ctx context.Context, uid string) error {
	pod := &v1.Pod{}
	pod.UID = types.UID(uid)
	return s.Remove(ctx, &Sandbox{ID: container.ID(uid, "", 0), Pod: pod})
}
