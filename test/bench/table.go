package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"
)

// print prints a line for each series: median, extremes and, for what is
// compared, the ratio of the medians.
func print(w io.Writer, all []series) {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	defer t.Flush()
	fmt.Fprintln(t, "WHAT\tMEDIAN\tLEAST\tMOST\tTIMES\tGOAL")
	medians := map[string]time.Duration{}
	for _, s := range all {
		medians[s.name] = median(s.took)
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d\t%s\n", s.name, round(median(s.took)),
			round(slices.Min(s.took)), round(slices.Max(s.took)), len(s.took), s.goal)
	}
	for _, other := range []string{"podman kube play", "floor"} {
		if medians[other] > 0 {
			fmt.Fprintf(t, "podrun up / %s\t%.2f\t\t\t\t\n", other, medians["podrun up"].Seconds()/medians[other].Seconds())
		}
	}
}

func median(d []time.Duration) time.Duration {
	d = slices.Sorted(slices.Values(d))
	return (d[(len(d)-1)/2] + d[len(d)/2]) / 2
}

func round(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }
