package test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"podrun/test/leakcheck"
	"podrun/test/report"
)

// look is how often eventually looks again.
const look = 20 * time.Millisecond

// manifest puts the references of the test images into the text of a manifest.
func manifest(text string) string {
	return strings.NewReplacer("BUSYBOX", lab.busybox, "PROBE", lab.probe, "REGISTRY", lab.registry.Addr).Replace(text)
}

func decode(tb testing.TB, text string) *corev1.Pod {
	tb.Helper()
	pod := &corev1.Pod{}
	if err := yaml.UnmarshalStrict([]byte(text), pod); err != nil {
		tb.Fatalf("%v in %s", err, text)
	}
	return pod
}

// eventually fails the test when check still returns an error after d, or longer
// on a slow machine.
func eventually(tb testing.TB, d time.Duration, check func() error) {
	tb.Helper()
	d *= lab.slowness
	deadline := time.Now().Add(d)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			tb.Fatalf("after %v: %v", d, err)
		}
		time.Sleep(look)
	}
}

// get asks the probe at address for a report.
func get(address string, files ...string) (r report.Report, err error) {
	text, err := page(address + "/?" + url.Values{"file": files}.Encode())
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal([]byte(text), &r)
}

// page fetches a page over a connection of its own.
func page(address string) (string, error) {
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://" + address)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

// ask is get, with some patience for a server that is just starting.
func ask(tb testing.TB, address string, files ...string) (r report.Report) {
	tb.Helper()
	eventually(tb, 5*time.Second, func() (err error) {
		r, err = get(address, files...)
		return err
	})
	return r
}

// echo sends a datagram and waits for it to come back.
func echo(address string) error {
	conn, err := net.Dial("udp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	if _, err := conn.Write([]byte("ping")); err != nil {
		return err
	}
	buf := make([]byte, 16)
	n, err := conn.Read(buf)
	if err == nil && string(buf[:n]) != "ping" {
		err = fmt.Errorf("echo of %q", buf[:n])
	}
	return err
}

// port returns a port that nobody listens on.
func port(tb testing.TB) int {
	tb.Helper()
	l, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func local(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

func addr(ip string, port int) string { return net.JoinHostPort(ip, strconv.Itoa(port)) }

// container returns the status of a container.
func container(tb testing.TB, pod *corev1.Pod, name string) corev1.ContainerStatus {
	tb.Helper()
	for _, s := range pod.Status.ContainerStatuses {
		if s.Name == name {
			return s
		}
	}
	tb.Fatalf("pod %s has no status of container %s: %+v", pod.Name, name, pod.Status)
	return corev1.ContainerStatus{}
}

// phase waits until the pod is in a phase.
func (in *instance) phase(tb testing.TB, name string, want corev1.PodPhase) (pod *corev1.Pod) {
	tb.Helper()
	eventually(tb, 15*time.Second, func() error {
		if pod = in.pod(tb, name); pod.Status.Phase != want {
			return fmt.Errorf("pod %s is %s, not %s: %+v", name, pod.Status.Phase, want, pod.Status.ContainerStatuses)
		}
		return nil
	})
	return pod
}

// process returns the process of the pod whose command line begins with name.
func process(tb testing.TB, pod *corev1.Pod, name string) leakcheck.Process {
	tb.Helper()
	all, err := leakcheck.Processes()
	if err != nil {
		tb.Fatal(err)
	}
	for _, p := range all {
		if p.Of(string(pod.UID)) && p.Args[0] == name {
			return p
		}
	}
	tb.Fatalf("pod %s has no process %s", pod.Name, name)
	return leakcheck.Process{}
}

// gone fails the test when anything on the machine still speaks of a UID.
func (in *instance) gone(tb testing.TB, uids ...string) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), settle*lab.slowness)
	defer cancel()
	diff, err := leakcheck.Settle(ctx, leakcheck.Listing{}, func(ctx context.Context) (leakcheck.Listing, error) {
		l, err := leakcheck.Take(ctx, in.Instance)
		return l.Mentioning(uids...), err
	})
	if err != nil {
		tb.Error(err)
	}
	for _, line := range diff {
		tb.Errorf("left behind: %s", line)
	}
}
