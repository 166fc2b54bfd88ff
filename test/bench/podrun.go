package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// patience bounds every command.
const patience = time.Minute

// podrun is an instance of the program that make has built.
type podrun struct{ bin, dir, run, manifest string }

func newPodrun(dir, run string) (*podrun, error) {
	bin, err := filepath.Abs(cmp.Or(os.Getenv("PODRUN_BIN"), "podrun"))
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(bin); err != nil {
		return nil, fmt.Errorf("run make first: %w", err)
	}
	return &podrun{bin: bin, dir: dir, run: run}, errors.Join(os.Mkdir(dir, 0o700), os.Mkdir(run, 0o700))
}

func (p *podrun) do(ctx context.Context, args ...string) error {
	return command(ctx, []string{
		"PATH=" + os.Getenv("PATH"),
		"PODRUN_ROOT=" + p.dir, "PODRUN_RUN_DIR=" + p.run,
	}, p.bin, args...)
}

func (p *podrun) up(ctx context.Context) error   { return p.do(ctx, "up", p.manifest) }
func (p *podrun) down(ctx context.Context) error { return p.do(ctx, "rm", "--force", "bench") }

func (p *podrun) close(ctx context.Context) error {
	return errors.Join(p.do(ctx, "rm", "--all", "--force"), p.do(ctx, "stack", "stop"), os.RemoveAll(p.dir), os.RemoveAll(p.run))
}

// command runs a program; what it prints is part of the error when it fails.
func command(ctx context.Context, env []string, name string, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	// A program that leaves processes behind would otherwise be waited for
	// until they have closed the pipe.
	cmd.WaitDelay = time.Second
	var out bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr = env, &out, &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, out.Bytes())
	}
	return nil
}
