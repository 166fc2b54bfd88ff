package manifest

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"sigs.k8s.io/yaml/goyaml.v3"
)

// TestTokens shows what is counted of texts, and that what a ConfigMap carries is
// not, unless something before it is not clear.
func TestTokens(t *testing.T) {
	t.Parallel()
	const carried = "  page: |\n    a: [1, 2, 3]\n\n    - b\n"
	for text, want := range map[string]int{
		"":                                   0,
		"# a: b, c\n\n":                      0,
		"a: b\n":                             2,
		"a: \"b, c: [d]\" # e: f\n":          2,
		"'it''s': x\n":                       2,
		"- - a\n":                            3,
		"- a: b\n  c: d\n":                   5,
		"a: [b, c]\n":                        4,
		"a: &x !t b\n":                       4,
		"data:\n" + carried:                  3,
		"data:\n" + carried + "  x: y\n":     5,
		"- a: |\n    b\n  c: d\n":            5,
		"- |\n  b: c\n- d\n":                 4,
		"a: \"b\ndata:\n" + carried:          14,
		"a: {b: \"c\"}\ndata:\n" + carried:   16,
		"a:\n  |\n  b\n":                     3,
		"#\r- a\r- b\n":                      5,
		"# \u2028- a\n- b\n":                 5,
		"a: b\r\nc: |\r\n  d: e\r\n":         4,
		"a: b\n  \"c\" d\ndata:\n" + carried: 15,
	} {
		if got := tokens([]byte(text)); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}

// countNodes counts the nodes of a text, as the YAML parser finds them.
func countNodes(text []byte) int {
	var count func(n *yaml.Node) int
	count = func(n *yaml.Node) int {
		sum := 1
		for _, child := range n.Content {
			sum += count(child)
		}
		return sum
	}
	sum := 0
	for _, c := range chunks(text) {
		roots, _ := parseChunk(c.text)
		for _, root := range roots {
			sum += count(root.Content[0])
		}
	}
	return sum
}

// TestHostile loads texts that are made to be expensive, as large as they may be
// or just small enough not to be refused for it, and bounds the memory.
func TestHostile(t *testing.T) {
	const head = "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec:\n  containers:\n  - name: a\n    image: x\n"
	most := func(before, item, after string) string {
		return before + strings.Repeat(item, (maxSource-len(before)-len(after))/len(item)) + after
	}
	keys := func(before, format string, n int) string {
		var b strings.Builder
		b.WriteString(before)
		for i := range n {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	const configMap, labels = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n", "apiVersion: v1\nkind: Pod\nmetadata:\n  labels:\n"
	for name, text := range map[string]string{
		"numbers":        most(head+"    args: [", "1,", "]"),
		"some numbers":   head + "    args: [" + strings.Repeat("1,", maxValues/itemWeight-100) + "]",
		"nulls":          head + "  - " + strings.Repeat("\n  -", maxValues/structWeight-100),
		"mounts":         head + "    volumeMounts: [" + strings.Repeat("{subPath: /a},", maxValues/(structWeight+1)-100) + "]",
		"quantities":     keys(head+"    resources:\n      limits:\n", "        k%d: 1\n", maxValues/customWeight-100),
		"labels":         keys(labels, "    \"k %d\": a\n", maxValues/itemWeight-100),
		"paths":          "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec:\n  volumes:\n  - name: a\n    configMap:\n      name: x\n      items:\n" + strings.Repeat("      - {key: a, path: p}\n", maxValues/(structWeight+2)-100) + "  containers: [{name: a, image: x}]\n",
		"unknown":        keys(head, "  k%d: 1\n", maxValues/unknownWeight-100),
		"documents":      most("", "---\nkind: Pod\n", ""),
		"dots":           most("", "a: b\n...\n", ""),
		"some items":     "apiVersion: v1\nkind: PodList\nitems: [" + strings.Repeat("{},", maxDocuments) + "]",
		"json":           most(`{"apiVersion":"v1","kind":"Pod","spec":{"containers":[{"args":[1`, ",1", "]}]}}"),
		"json documents": most("", "{}", ""),
		"brackets":       most(head+"    args: ", "[", ""),
		"dashes":         most("a: ", "- ", ""),
		"escapes":        most("apiVersion: v1\nkind: Pod\nmetadata: {name: \"", `\e`, `"}`),
		"quote":          most(head+"    args: [\"", "a ", ""),
		"text":           most(configMap+"data:\n  a: |\n", "    a, b: [c]\n", ""),
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := Load([]Source{{Name: "f", Data: []byte(text)}}, Options{})
			runtime.ReadMemStats(&after)
			var problems Problems
			if err != nil && !errors.As(err, &problems) {
				t.Errorf("%v, want Problems", err)
			}
			if used := (after.TotalAlloc - before.TotalAlloc) >> 20; used > 512 {
				t.Errorf("%d MiB allocated in all, for %d bytes", used, len(text))
			}
		})
	}
}
