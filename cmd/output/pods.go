package output

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"podrun/pod/status"
)

// Format is how objects are written.
type Format string

// The formats.
const (
	Short Format = ""     // a table
	Wide  Format = "wide" // a table with more columns
	JSON  Format = "json"
	YAML  Format = "yaml"
	Name  Format = "name" // pod/NAME, a line each
)

// ParseFormat checks a format that a user gave.
func ParseFormat(s string, allowed ...Format) (Format, error) {
	names := make([]string, 0, len(allowed))
	for _, f := range allowed {
		if s == string(f) {
			return f, nil
		}
		if f != Short {
			names = append(names, string(f))
		}
	}
	return "", fmt.Errorf("output format %q: want one of %s", s, strings.Join(names, ", "))
}

// Pods writes a list of pods that carry their status. JSON and YAML are a
// v1.PodList, whatever the number. A table has a NAMESPACE column when the
// pods are of more than one.
func Pods(w io.Writer, pods []v1.Pod, format Format, now time.Time) error {
	switch format {
	case Name:
		for i := range pods {
			if _, err := fmt.Fprintln(w, "pod/"+Quote(pods[i].Name)); err != nil {
				return err
			}
		}
		return nil
	case JSON, YAML:
		list := v1.PodList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "PodList"}, Items: make([]v1.Pod, len(pods))}
		for i := range pods {
			list.Items[i] = typed(pods[i])
		}
		return object(w, list, format)
	default:
		namespaced := namespaces(pods) > 1
		rows := make([][]string, 0, len(pods))
		for i := range pods {
			rows = append(rows, podRow(&pods[i], status.Line(&pods[i], now), format == Wide, namespaced))
		}
		return Table(w, podHeader(format == Wide, namespaced), rows)
	}
}

// Pod writes one pod as a v1.Pod, in JSON or YAML.
func Pod(w io.Writer, pod *v1.Pod, format Format) error { return object(w, typed(*pod), format) }

func typed(pod v1.Pod) v1.Pod {
	pod.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}
	return pod
}

// Value writes a value that is no Kubernetes object, in JSON or YAML.
func Value(w io.Writer, value any, format Format) error { return object(w, value, format) }

// object writes a value. JSON escapes what a user may have put into it but for
// DEL and the C1 controls, which can only stand in its strings.
func object(w io.Writer, value any, format Format) error {
	text, err := json.MarshalIndent(value, "", "    ")
	if err != nil {
		return err
	}
	text = escapeControls(text)
	switch format {
	case JSON:
		text = append(text, '\n')
	case YAML:
		text, err = yaml.JSONToYAML(text)
	default:
		err = fmt.Errorf("output format %q: not one for objects", format)
	}
	if err != nil {
		return err
	}
	_, err = w.Write(text)
	return err
}

func escapeControls(text []byte) []byte {
	isControl := func(r rune) bool { return r >= 0x7f && r <= 0x9f }
	if !bytes.ContainsFunc(text, isControl) {
		return text
	}
	var b bytes.Buffer
	for _, r := range string(text) {
		if isControl(r) {
			fmt.Fprintf(&b, `\u%04x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.Bytes()
}

func podHeader(wide, namespaced bool) []string {
	header := []string{"NAME", "READY", "STATUS", "RESTARTS", "AGE", "IP"}
	if wide {
		header = append(header, "PORTS", "IMAGES", "UID")
	}
	if namespaced {
		header = append([]string{"NAMESPACE"}, header...)
	}
	return header
}

func podRow(pod *v1.Pod, line status.Summary, wide, namespaced bool) []string {
	row := []string{pod.Name, line.Ready, line.Status, line.Restarts, line.Age, line.IP}
	if wide {
		row = append(row, orNone(ports(pod)), orNone(images(pod)), string(pod.UID))
	}
	if namespaced {
		row = append([]string{pod.Namespace}, row...)
	}
	return row
}

func namespaces(pods []v1.Pod) int {
	seen := map[string]bool{}
	for i := range pods {
		seen[pods[i].Namespace] = true
	}
	return len(seen)
}

// ports lists a pod's ports: 8080->80/tcp where the host's leads to it.
func ports(pod *v1.Pod) string {
	var all []string
	for i := range pod.Spec.Containers {
		for _, p := range pod.Spec.Containers[i].Ports {
			text := fmt.Sprintf("%d/%s", p.ContainerPort, strings.ToLower(string(p.Protocol)))
			switch host := strconv.Itoa(int(p.HostPort)); {
			case p.HostPort == 0 || pod.Spec.HostNetwork:
			case p.HostIP == "":
				text = host + "->" + text
			default:
				text = net.JoinHostPort(p.HostIP, host) + "->" + text
			}
			all = append(all, text)
		}
	}
	return strings.Join(all, ",")
}

func images(pod *v1.Pod) string {
	var all []string
	for i := range pod.Spec.Containers {
		all = append(all, pod.Spec.Containers[i].Image)
	}
	return strings.Join(all, ",")
}

func orNone(s string) string {
	if s == "" {
		return "<none>"
	}
	return s
}
