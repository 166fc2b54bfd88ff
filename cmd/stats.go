package cmd

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"podrun/cmd/output"
	"podrun/pod"
)

const (
	// statsSpan is how long CPU time is measured for one table, and statsTick
	// how often a live one is made anew.
	statsSpan = 500 * time.Millisecond
	statsTick = time.Second
)

func newStats(a *app) *cobra.Command {
	var format string
	var once bool
	cmd := &cobra.Command{
		Use:   "stats [POD...]",
		Short: "Show what running containers use: CPU, memory, network, processes",
		Long: `Show what the containers of running pods use, of all namespaces unless -n
names one. On a terminal the table is live, until it is interrupted. CPU is in
thousandths of a core; MEMORY is what cannot be given back easily (what is in
use without files that were not read or written lately), NETWORK what the pod
has received and sent.`,
		Example: `  podrun stats
  podrun stats web --no-stream
  podrun stats -o json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			parsed, err := output.ParseFormat(format, output.Short, output.JSON)
			if err != nil {
				return usageError{err}
			}
			engine, err := a.find(cmd.Context())
			if err != nil {
				return err
			}
			namespace := a.namespace
			if len(args) > 0 {
				namespace = a.ref("").Namespace
			}
			look := func(context.Context) ([]pod.PodStats, error) { return noStats(args) }
			if engine != nil {
				defer engine.Close()
				look = func(ctx context.Context) ([]pod.PodStats, error) { return engine.Stats(ctx, namespace, args) }
			}
			if parsed == output.Short && !once && a.onTerminal() {
				return a.liveStats(cmd.Context(), look)
			}
			return a.oneStats(cmd.Context(), look, parsed)
		},
	}
	cmd.Flags().StringVarP(&format, "output", "o", "", "json")
	cmd.Flags().BoolVar(&once, "no-stream", false, "print one table, also on a terminal")
	return cmd
}

func (a *app) onTerminal() bool {
	file, ok := a.Out.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// noStats is the look at a machine without any pod.
func noStats(names []string) ([]pod.PodStats, error) {
	if len(names) > 0 {
		return nil, fmt.Errorf("%w: %q", pod.ErrNotFound, names[0])
	}
	return []pod.PodStats{}, nil
}

type statsLook func(context.Context) ([]pod.PodStats, error)

// oneStats prints what two looks tell.
func (a *app) oneStats(ctx context.Context, look statsLook, format output.Format) error {
	before, err := look(ctx)
	if err != nil {
		return err
	}
	if len(before) > 0 {
		if err := pause(ctx, statsSpan); err != nil {
			return err
		}
	}
	now, err := look(ctx)
	if err != nil {
		return err
	}
	pod.Rate(before, now)
	if format == output.JSON {
		return output.Value(a.Out, map[string]any{"pods": now}, output.JSON)
	}
	return statsTable(a.Out, now)
}

// liveStats shows a table anew until ctx is done.
func (a *app) liveStats(ctx context.Context, look statsLook) error {
	const home, clearLine, clearBelow = "\x1b[H", "\x1b[K", "\x1b[J"
	before, err := look(ctx)
	for span := statsSpan; err == nil; span = statsTick {
		if err = pause(ctx, span); err != nil {
			break
		}
		var now []pod.PodStats
		if now, err = look(ctx); err != nil {
			break
		}
		pod.Rate(before, now)
		before = now
		var table bytes.Buffer
		if err = statsTable(&table, now); err == nil {
			_, err = a.Out.Write([]byte(home + strings.ReplaceAll(table.String(), "\n", clearLine+"\n") + clearBelow))
		}
	}
	return err
}

// pause waits, or returns early why ctx is done.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

// statsTable has a row for each container. What the pod has in common stands in
// the first of its rows. The namespaces are named when there are several.
func statsTable(w io.Writer, stats []pod.PodStats) error {
	header := []string{"POD", "CONTAINER", "CPU", "MEMORY", "LIMIT", "NETWORK", "PIDS"}
	namespaced := slices.ContainsFunc(stats, func(p pod.PodStats) bool { return p.Pod.Namespace != stats[0].Pod.Namespace })
	if namespaced {
		header = append([]string{"NAMESPACE"}, header...)
	}
	var rows [][]string
	for _, p := range stats {
		network := "-"
		if p.Network != nil {
			network = output.Size(int64(p.Network.RxBytes)) + " / " + output.Size(int64(p.Network.TxBytes))
		}
		for _, c := range p.Containers {
			row := statsRow(p, c, network)
			if namespaced {
				row = append([]string{p.Pod.Namespace}, row...)
			}
			rows = append(rows, row)
			network = ""
		}
	}
	return output.Table(w, header, rows)
}

func statsRow(p pod.PodStats, c pod.ContainerStats, network string) []string {
	cpu, limit := "-", "-"
	if c.CPU.UsageNanoCores != nil {
		cpu = strconv.FormatUint(*c.CPU.UsageNanoCores/1e6, 10) + "m"
	}
	if c.Memory.Limit() > 0 {
		limit = output.Size(int64(c.Memory.Limit()))
	}
	return []string{
		p.Pod.Name, c.Name, cpu, output.Size(int64(c.Memory.WorkingSetBytes)), limit,
		network, strconv.FormatUint(c.Processes.Count, 10),
	}
}
