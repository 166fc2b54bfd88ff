package cmd

import (
	"fmt"

	"github.com/spf13/cobra"

	"podrun/cmd/output"
	"podrun/pod/manifest"
)

func newCheck(a *app) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "check MANIFEST...",
		Short: "Say what would be done with every field that manifests set",
		Long: `Say what would be done with every field that manifests set: it is honoured, has
no meaning on one machine, or is refused, and why. The exit code is 2 when up
would refuse something. Nothing is touched.

` + manifestHelp,
		Example: `  podrun check web.yaml
  podrun check -o json manifests/
  kubectl get pod web -o yaml | podrun check -`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			parsed, err := output.ParseFormat(format, output.Short, output.JSON)
			if err != nil {
				return usageError{err}
			}
			return a.check(cmd, args, parsed)
		},
	}
	a.bindManifests(cmd)
	a.bindMachine(cmd)
	cmd.Flags().StringVarP(&format, "output", "o", "", "json")
	return cmd
}

func (a *app) check(cmd *cobra.Command, args []string, format output.Format) error {
	sources, err := a.read(cmd, args)
	if err != nil {
		return err
	}
	found := manifest.Check(sources, a.manifestOptions(cmd))
	if format == output.JSON {
		err = output.Value(a.Out, newReport(found), format)
	} else if len(found.Findings) > 0 {
		err = output.Table(a.Out, []string{"PLACE", "OBJECT", "FIELD", "VERDICT", "REASON"}, findingRows(found.Findings))
	}
	a.warn(found.Warnings)
	refused := 0
	for _, f := range found.Findings {
		if f.Verdict == manifest.Refused {
			refused++
		}
	}
	switch {
	case err != nil:
		return err
	case len(found.Problems) > 0:
		return found.Problems
	case refused > 0:
		return usagef("check: up would refuse this, see the %d lines that say so", refused)
	}
	return nil
}

func findingRows(findings []manifest.Finding) [][]string {
	rows := make([][]string, len(findings))
	for i, f := range findings {
		rows[i] = []string{fmt.Sprintf("%s:%d", f.File, f.Line), f.Object(), f.Field, string(f.Verdict), f.Reason}
	}
	return rows
}

// report is what check says in JSON.
type report struct {
	Findings []reportFinding `json:"findings"`
	Problems []reportProblem `json:"problems"`
	Warnings []reportProblem `json:"warnings"`
}

type reportFinding struct {
	File      string           `json:"file"`
	Line      int              `json:"line"`
	Kind      string           `json:"kind"`
	Namespace string           `json:"namespace"`
	Name      string           `json:"name"`
	Field     string           `json:"field"`
	Verdict   manifest.Verdict `json:"verdict"`
	Reason    string           `json:"reason,omitempty"`
}

type reportProblem struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Field   string `json:"field,omitempty"`
	Message string `json:"message"`
}

func newReport(found manifest.Report) report {
	r := report{make([]reportFinding, len(found.Findings)), reportProblems(found.Problems), reportProblems(found.Warnings)}
	for i, f := range found.Findings {
		r.Findings[i] = reportFinding{f.File, f.Line, f.Kind, f.Namespace, f.Name, f.Field, f.Verdict, f.Reason}
	}
	return r
}

func reportProblems(problems manifest.Problems) []reportProblem {
	out := make([]reportProblem, len(problems))
	for i, p := range problems {
		out[i] = reportProblem{p.File, p.Line, p.Field, p.Message}
	}
	return out
}
