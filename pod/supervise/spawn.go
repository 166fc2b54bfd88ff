package supervise

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// logFile is where a supervisor process writes what goes wrong, in the pod's
// directory.
const logFile = "supervisor.log"

// Spawn starts a process that supervises a pod: the program that runs now,
// with args and env, in a session of its own. start starts it. dir is the pod's directory. It
// does not wait for the process to own the pod; when another one does, the
// process ends at once.
func Spawn(dir string, args, env []string, start func(*exec.Cmd) error) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("start supervisor: %w", err)
	}
	log, err := os.OpenFile(filepath.Join(dir, logFile), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("start supervisor: %w", err)
	}
	defer log.Close()
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Args[0] = "podrun"
	cmd.Env = env
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := start(cmd); err != nil {
		return fmt.Errorf("start supervisor: %w", err)
	}
	// It is its own master from here on; init reaps it when the caller ends
	// first, this goroutine when not.
	go cmd.Wait()
	return nil
}
