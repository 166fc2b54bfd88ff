package cmd

import (
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/util/validation"

	"podrun/cmd/output"
	"podrun/pod"
)

func newPortForward(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "port-forward POD [LOCAL:]REMOTE...",
		Short: "Reach ports of a pod through ports of this machine's loopback addresses",
		Long: `Reach ports of a pod through ports of 127.0.0.1 and ::1, also those that the
pod listens on only for itself. REMOTE is a number or the name of a port in the
manifest; without LOCAL the local port has the same number, with an empty LOCAL
or 0 any that is free. It goes on until it is interrupted or the pod ends.`,
		Example: `  podrun port-forward web 8080:80
  podrun port-forward web :80 5432`,
		Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			var ports []pod.ForwardedPort
			for _, arg := range args[1:] {
				port, err := parseForward(arg)
				if err != nil {
					return err
				}
				ports = append(ports, port)
			}
			engine, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			defer engine.Close()
			return engine.Forward(cmd.Context(), a.ref(args[0]), pod.Forwarding{
				Ports: ports,
				Listening: func(address net.Addr, remote uint16) {
					fmt.Fprintf(a.Out, "Forwarding from %s -> %d\n", address, remote)
				},
				Failed: func(err error) { fmt.Fprintf(a.Err, "podrun: %s\n", output.Quote(err.Error())) },
			})
		},
	}
}

// parseForward reads [LOCAL:]REMOTE.
func parseForward(arg string) (pod.ForwardedPort, error) {
	local, remote, both := strings.Cut(arg, ":")
	if !both {
		remote = local
	}
	var port pod.ForwardedPort
	number, err := strconv.ParseUint(remote, 10, 16)
	switch {
	case err == nil && number > 0:
		port.Remote = uint16(number)
	case err != nil && len(validation.IsValidPortName(remote)) == 0:
		port.Name = remote
	default:
		return port, usagef("port %q: want [LOCAL:]REMOTE, with numbers from 1 to 65535 or the name of a port", arg)
	}
	switch {
	case !both:
		port.Local = pod.SameLocal
	case local != "":
		number, err = strconv.ParseUint(local, 10, 16)
		if err != nil {
			return port, usagef("port %q: %q is no number from 0 to 65535", arg, local)
		}
		port.Local = int(number)
	}
	return port, nil
}
