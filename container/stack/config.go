package stack

import (
	"crypto/sha256"
	"fmt"
	"path/filepath"
)

// configTemplate is the bundled containerd's configuration. It says only what differs from the defaults:
//   - imports: none, or the drop-ins of a containerd that belongs to the machine would count
//   - plugins that podrun never uses stay off: those that would run programs or listen on sockets
//     of others (image verifiers, NRI), restart containers behind podrun's back, serve metrics, or
//     bring other snapshotters
//   - the plugin without which no container runs must load, so that containerd fails at once and says why
//   - a second containerd on the same data gives up instead of waiting for the first one to end
//   - the shims' sockets are in podrun's own directory
const configTemplate = `version = 4
root = %q
state = %q
imports = []
disabled_plugins = [
  "io.containerd.differ.v1.erofs",
  "io.containerd.http.v1.pprof",
  "io.containerd.image-verifier.v1.bindir",
  "io.containerd.internal.v1.opt",
  "io.containerd.metrics.v1.grpc-otel",
  "io.containerd.metrics.v1.grpc-prometheus",
  "io.containerd.monitor.container.v1.restart",
  "io.containerd.monitor.task.v1.cgroups",
  "io.containerd.mount-handler.v1.erofs",
  "io.containerd.nri.v1.nri",
  "io.containerd.snapshotter.v1.blockfile",
  "io.containerd.snapshotter.v1.erofs",
]
required_plugins = ["io.containerd.runtime.v2.task"]

[debug]
level = "warn"

[timeouts]
"io.containerd.timeout.bolt.open" = "10s"

[plugins."io.containerd.server.v1.grpc"]
address = %q

[plugins."io.containerd.server.v1.ttrpc"]
address = %q

[plugins."io.containerd.shim.v1.manager"]
socket_dir = %q
`

// config returns the content of containerd's configuration file.
func (c Config) config() string {
	return fmt.Sprintf(configTemplate, c.data(), c.state(), c.address(), c.address()+ttrpcSuffix, c.shimSockets())
}

// maxShimSocketDir is containerd's own limit: a shim's socket is named by 64 hexadecimal digits.
const maxShimSocketDir = maxSocketPath - len("/") - 2*sha256.Size

// shimSockets returns the directory of the shims' sockets: in the state directory or, where paths
// would get too long for a socket, one in /run that is named after it.
func (c Config) shimSockets() string {
	dir := filepath.Join(c.state(), "s")
	if len(dir) <= maxShimSocketDir {
		return dir
	}
	return fmt.Sprintf("/run/podrun-%x", sha256.Sum256([]byte(c.RunDir)))[:len("/run/podrun-")+16]
}
