package test

import (
	"bytes"
	"os"
	"os/exec"
	"testing"
)

// TestBeginsWithoutCollection: what the packages leave that podrun is made of is not
// collected when a command begins.
func TestBeginsWithoutCollection(t *testing.T) {
	t.Parallel()
	cmd := exec.Command(lab.podrun, "version")
	cmd.Env = append(os.Environ(), "GODEBUG=gctrace=1,inittrace=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !bytes.Contains(out, []byte("\ninit podrun/cmd ")) {
		t.Errorf("Go does not trace:\n%s", out)
	}
	if i := bytes.Index(out, []byte("\ngc 1 ")); i >= 0 {
		t.Errorf("it collects: %.80s", out[i+1:])
	}
}
