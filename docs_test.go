package voiceassist_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// setting is a row of the README's table of configuration, or a field of
// cmd.Config.
type setting struct{ name, fallback string }

func TestReadmeListsEverySetting(t *testing.T) {
	t.Parallel()
	documented := map[string]string{}
	for _, s := range settingsOfReadme(t) {
		documented[s.name] = s.fallback
	}
	for _, s := range settingsOfConfig(t) {
		fallback, ok := documented[s.name]
		delete(documented, s.name)
		switch {
		case !ok:
			t.Errorf("README.md does not list %s", s.name)
		case s.fallback != "" && fallback != "`"+s.fallback+"`" && len(s.fallback) < 40: // the README tells long lists in words
			t.Errorf("README.md says that %s is %s by default, it is %s", s.name, fallback, s.fallback)
		}
	}
	for name := range documented {
		t.Errorf("README.md lists %s, which package cmd does not read", name)
	}
}

var settingRow = regexp.MustCompile("(?m)^\\| `([A-Z_]+)` \\| (.*?) ?\\|")

func settingsOfReadme(t *testing.T) (settings []setting) {
	t.Helper()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range settingRow.FindAllStringSubmatch(string(readme), -1) {
		settings = append(settings, setting{name: row[1], fallback: row[2]})
	}
	return settings
}

// settingsOfConfig reads the tags of cmd.Config, which this package does not
// import.
func settingsOfConfig(t *testing.T) (settings []setting) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "cmd/config.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		field, ok := n.(*ast.Field)
		if !ok || field.Tag == nil {
			return true
		}
		raw, err := strconv.Unquote(field.Tag.Value)
		if err != nil {
			t.Fatal(err)
		}
		tag := reflect.StructTag(raw)
		if name, _, _ := strings.Cut(tag.Get("env"), ","); name != "" {
			settings = append(settings, setting{name: name, fallback: tag.Get("envDefault")})
		}
		return true
	})
	if len(settings) == 0 {
		t.Fatal("cmd/config.go has no settings")
	}
	return settings
}
