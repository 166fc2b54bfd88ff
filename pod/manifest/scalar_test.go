package manifest

import (
	"encoding/json"
	"testing"

	"sigs.k8s.io/yaml"
	yaml3 "sigs.k8s.io/yaml/goyaml.v3"
)

// TestScalars compares what a plain scalar is taken for with what kubectl makes
// of it: it reads YAML 1.1 and sends JSON.
func TestScalars(t *testing.T) {
	t.Parallel()
	for _, plain := range []string{
		"", "~", "null", "Null", "y", "n", "Y", "yes", "No", "on", "OFF", "true", "True", "FALSE", "tRue", "0", "-1", "+1", "017", "0o17", "0x1F",
		"0b11", "1_000", "1.0", "1.5", ".5", "5.", "1e3", "1e400", "-1.5e-3", "1:30", "2024-01-01", "2024-01-01T00:00:00Z", "=", "a", "1a", "0.1.2",
		"'yes'", `"1"`, "!!str yes", "!!str 1", "!x y", "!x 1", "!x true", "!x ~", "!x", "!!binary YQ==", "!!float 1", "!!int '1'", "9223372036854775807", "18446744073709551615", "1.27", "_1", "1__0",
	} {
		var doc yaml3.Node
		if err := yaml3.Unmarshal([]byte("a: "+plain), &doc); err != nil {
			t.Fatal(err)
		}
		n := doc.Content[0].Content[1]
		(&expander{reporter: &reporter{}}).expand(n)
		converted, err := yaml.YAMLToJSON([]byte("a: " + plain))
		if err != nil {
			continue
		}
		var sent struct{ A any }
		if err := json.Unmarshal(converted, &sent); err != nil {
			t.Fatal(err)
		}
		var same bool
		switch value := sent.A.(type) {
		case nil:
			same = kindOf(n) == null
		case bool:
			same = kindOf(n) == boolean && boolOf(n) == value
		case string:
			same = kindOf(n) == text && n.Value == value
		case float64:
			i, ok := intOf(n)
			same = (kindOf(n) == integer || kindOf(n) == float) && (!ok || float64(i) == value)
		}
		if !same {
			t.Errorf("%s is %s, kubectl sends %s", plain, describe(n), converted)
		}
	}
}
