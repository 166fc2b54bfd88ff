package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Usage is what a cgroup has used, and uses now.
type Usage struct {
	CPU time.Duration // of all its processes, since it was made
	// Memory is all that is charged to it, WorkingSet what of that cannot be
	// given back easily: without the files that were not used lately (kubelet:
	// usage - inactive_file). Bytes, as Limit, which is 0 where there is none.
	Memory, WorkingSet, Limit uint64
	PIDs                      uint64 // processes and threads
}

// Usage reads what a pod's cgroup uses, by its path as Parent returns it, or a
// container's below it; fs.ErrNotExist when it is gone. What has no controller
// is 0.
func (d *Driver) Usage(path string) (Usage, error) {
	files := usageV1
	if d.unified {
		files = usageV2
	}
	var usage Usage
	found := false
	for _, file := range files {
		dir, err := d.dir(file.controller, path)
		if err != nil {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, file.name))
		if gone(err) {
			continue
		}
		if err == nil {
			found = true
			err = file.read(string(text), &usage)
		}
		if err != nil {
			return Usage{}, fmt.Errorf("read usage of cgroup %s: %s: %w", path, file.name, err)
		}
	}
	if !found {
		return Usage{}, fmt.Errorf("read usage of cgroup %s: %w", path, fs.ErrNotExist)
	}
	return usage, nil
}

// usageFile is a file that tells something of the usage.
type usageFile struct {
	controller, name string
	read             func(text string, usage *Usage) error
}

// The files of both versions, in an order in which each can be read: the
// memory in use before what of it does not count.
var (
	usageV1 = []usageFile{
		{"cpuacct", "cpuacct.usage", func(text string, u *Usage) error { return readTime(text, time.Nanosecond, &u.CPU) }},
		{"memory", "memory.usage_in_bytes", func(text string, u *Usage) error { return readNumber(text, &u.Memory) }},
		{"memory", "memory.stat", func(text string, u *Usage) error { return u.readInactive(text, "total_inactive_file") }},
		{"memory", "memory.limit_in_bytes", func(text string, u *Usage) error { return u.readLimit(text) }},
		{"pids", "pids.current", func(text string, u *Usage) error { return readNumber(text, &u.PIDs) }},
	}
	usageV2 = []usageFile{
		{"cpu", "cpu.stat", func(text string, u *Usage) error {
			value, err := field(text, "usage_usec")
			if err != nil {
				return err
			}
			return readTime(value, time.Microsecond, &u.CPU)
		}},
		{"memory", "memory.current", func(text string, u *Usage) error { return readNumber(text, &u.Memory) }},
		{"memory", "memory.stat", func(text string, u *Usage) error { return u.readInactive(text, "inactive_file") }},
		{"memory", "memory.max", func(text string, u *Usage) error { return u.readLimit(text) }},
		{"pids", "pids.current", func(text string, u *Usage) error { return readNumber(text, &u.PIDs) }},
	}
)

func (u *Usage) readInactive(text, name string) error {
	value, err := field(text, name)
	if err != nil {
		return err
	}
	var inactive uint64
	if err := readNumber(value, &inactive); err != nil {
		return err
	}
	u.WorkingSet = 0
	if inactive < u.Memory {
		u.WorkingSet = u.Memory - inactive
	}
	return nil
}

// noLimit is where v1 begins to mean that there is none: the largest number of
// pages, in bytes.
const noLimit = math.MaxInt64 &^ (1<<16 - 1)

func (u *Usage) readLimit(text string) error {
	if strings.TrimSpace(text) == "max" {
		return nil
	}
	if err := readNumber(text, &u.Limit); err != nil {
		return err
	}
	if u.Limit >= noLimit {
		u.Limit = 0
	}
	return nil
}

// field is the value of a name in a file of "name value" lines.
func field(text, name string) (string, error) {
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return value, nil
		}
	}
	return "", errors.New("no " + name)
}

func readNumber(text string, to *uint64) error {
	number, err := strconv.ParseUint(strings.TrimSpace(text), 10, 64)
	*to = number
	return err
}

func readTime(text string, unit time.Duration, to *time.Duration) error {
	var number uint64
	err := readNumber(text, &number)
	*to = time.Duration(number) * unit
	return err
}
