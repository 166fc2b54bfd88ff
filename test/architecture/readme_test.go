package architecture

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"podrun/cmd"
	"podrun/pod/manifest"
)

var update = flag.Bool("update", false, "rewrite the generated parts of README.md")

// TestReadme compares what is generated in the README with the code.
func TestReadme(t *testing.T) {
	t.Parallel()
	name := filepath.Join(root, "README.md")
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	was, is := string(content), string(content)
	for _, part := range []struct{ name, content string }{
		{"verbs", verbs(t)},
		{"fields", manifest.Table()},
	} {
		if is, err = replace(is, part.name, part.content); err != nil {
			t.Fatal(err)
		}
	}
	if is == was {
		return
	}
	if !*update {
		t.Fatal("README.md does not say what the code does: go test ./test/architecture -update rewrites it")
	}
	if err := os.WriteFile(name, []byte(is), 0o644); err != nil {
		t.Fatal(err)
	}
}

// verbs renders the verbs of the command line as Markdown, in the words of
// their help. Every verb has some.
func verbs(t *testing.T) string {
	t.Helper()
	var out, errs bytes.Buffer
	// What the completion of an empty word offers: a line each, name and help.
	if code := cmd.Main(t.Context(), cmd.Streams{Out: &out, Err: &errs}, []string{"__complete", ""}); code != 0 {
		t.Fatalf("exit code %d: %s", code, errs.String())
	}
	var table strings.Builder
	table.WriteString("| Verb | |\n|---|---|\n")
	found := 0
	for line := range strings.Lines(out.String()) {
		verb, short, _ := strings.Cut(strings.TrimSpace(line), "\t")
		switch {
		case strings.HasPrefix(verb, ":"): // how a shell should take it
			continue
		case short == "":
			t.Errorf("podrun %s has no help", verb)
		}
		fmt.Fprintf(&table, "| `%s` | %s |\n", verb, short)
		found++
	}
	if found < 10 {
		t.Errorf("only %d verbs: is this still how to list them? %s", found, out.String())
	}
	return table.String()
}

// replace puts content between the comments <!-- NAME: ... --> and <!-- /NAME -->.
func replace(document, name, content string) (string, error) {
	open := strings.Index(document, "<!-- "+name+":")
	end := strings.Index(document, "<!-- /"+name+" -->")
	if open < 0 || end < open {
		return "", fmt.Errorf("replace %s: no comments around it", name)
	}
	head, _, ok := strings.Cut(document[open:end], " -->\n")
	if !ok {
		return "", fmt.Errorf("replace %s: the comment before it does not end its line", name)
	}
	return document[:open] + head + " -->\n\n" + strings.TrimSpace(content) + "\n\n" + document[end:], nil
}

func TestReplace(t *testing.T) {
	t.Parallel()
	const document = "a\n<!-- fields: generated -->\nold\n<!-- /fields -->\nb\n"
	got, err := replace(document, "fields", "new\n")
	if want := "a\n<!-- fields: generated -->\n\nnew\n\n<!-- /fields -->\nb\n"; err != nil || got != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	again, err := replace(got, "fields", "new\n")
	if err != nil || again != got {
		t.Errorf("the second time: got %q, %v", again, err)
	}
	for _, broken := range []string{"", "<!-- fields: generated -->\nold", "old <!-- /fields -->"} {
		if got, err := replace(broken, "fields", "new"); err == nil {
			t.Errorf("replace in %q: got %q, want an error", broken, got)
		}
	}
}
