package voiceassist_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const modulePath = "github.com/voiceassist/backend"

// rule says what a package may import of this module, by directory; "." is the
// root. Tests may import anything.
type rule struct {
	may      []string
	forTests bool // the package exists for tests, and only they import it
}

var anything = []string{"*"}

// rules has every package of the module. The three halves of the program know
// the root and never one another; a technology's package knows the root;
// everything meets in cmd.
var rules = map[string]rule{
	".":          {},
	"bm25":       {may: []string{"."}},
	"prose":      {may: []string{"."}},
	"migrations": {},

	"accounts": {may: []string{"."}},
	"cache":    {may: []string{"."}},
	"flags":    {may: []string{"."}},
	"mail":     {may: []string{"."}},
	"export":   {may: []string{"."}},
	"httpapi":  {may: []string{".", "export"}},
	"pipeline": {may: []string{".", "postgres", "extract", "prose"}},
	"rag":      {may: []string{".", "bm25", "prose"}},

	"extract":       {may: []string{"."}},
	"machine":       {may: []string{"."}},
	"openai":        {may: []string{"."}},
	"pdfium":        {may: []string{".", "pdfium/layout"}},
	"pdfium/layout": {},
	"postgres":      {may: []string{".", "migrations"}},
	"qdrant":        {may: []string{".", "bm25"}},
	"redis":         {may: []string{"."}},
	"unipdf":        {may: []string{"."}},

	"embedded":              {may: []string{"."}},
	"embedded/qdrantserver": {may: []string{"."}},
	"samples":               {may: []string{"."}},

	"cmd":              {may: anything},
	"cmd/api":          {may: []string{"cmd"}},
	"cmd/scheduler":    {may: []string{"cmd"}},
	"cmd/voiceassist":  {may: []string{"cmd"}},
	"cmd/worker":       {may: []string{"cmd"}},
	"bench/api":        {may: anything},
	"bench/chaos":      {may: anything},
	"bench/colleague":  {may: anything},
	"bench/extract":    {may: anything},
	"bench/firstlight": {may: anything},
	"bench/ingest":     {may: anything},
	"bench/retrieval":  {may: anything},
	"bench/signin":     {may: anything},

	"bench/internal/system": {may: anything},

	"extract/extracttest":       {may: []string{"."}, forTests: true},
	"extract/extracttest/child": {may: []string{".", "extract", "pdfium"}, forTests: true},
	"mail/mailtest":             {forTests: true},
	"openaitest":                {forTests: true},
	"postgrestest":              {may: []string{"postgres", "embedded"}, forTests: true},
	"seamtest":                  {may: []string{".", "bm25", "qdrant"}, forTests: true},
}

// homes are the packages to which a technology is confined, so that replacing
// it is a change in one place.
var homes = map[string][]string{
	"codeberg.org/go-pdf/fpdf":            {"export"},
	"github.com/alicebob/miniredis":       {"embedded"},
	"github.com/blevesearch/snowballstem": {"bm25"},
	"github.com/caarlos0/env":             {"cmd"},
	"github.com/danielgtaylor/huma":       {"httpapi"},
	"github.com/go-redis/redis_rate":      {"redis"},
	"github.com/gofiber":                  {"httpapi", "bench/api"}, // there as what to compare with
	"github.com/golang-jwt":               {"accounts"},
	"github.com/google/go-cmp":            {"seamtest"},
	"github.com/hibiken":                  {"redis"},
	"github.com/jackc/pgx":                {"postgres", "embedded", "postgrestest", "bench/internal/system"}, // there to see for itself
	"github.com/klippa-app/go-pdfium":     {"pdfium"},
	"github.com/pquerna/otp":              {"accounts"},
	"github.com/wneessen/go-mail":         {"mail"},
	"github.com/maypok86/otter":           {"cache"},
	"github.com/qdrant/go-client":         {"qdrant", "embedded/qdrantserver"},
	"github.com/redis/go-redis":           {"redis"},
	"github.com/sashabaranov/go-openai":   {"openai"},
	"github.com/santhosh-tekuri":          {}, // the tests'
	"github.com/swaggest":                 {"httpapi"},
	"github.com/shirou/gopsutil":          {"machine"},
	"github.com/tetratelabs/wazero":       {"pdfium"},
	"github.com/unidoc":                   {"unipdf"},
	"github.com/yuin/goldmark":            {"extract"},
	"github.com/xi2/xz":                   {"embedded"},
	"go.uber.org/goleak":                  {"postgrestest", "seamtest"},
	"golang.org/x/image":                  {"export"},
	"gocloud.dev":                         {"cmd", "pipeline"},
	"google.golang.org/grpc":              {"qdrant", "embedded/qdrantserver"},
	"github.com/prometheus/client_golang": {"cmd", "httpapi", "mail", "pipeline", "rag", "redis"},
}

func TestPackagesImportOnlyWhatTheyMay(t *testing.T) {
	t.Parallel()
	for dir, imports := range importsOf(t) {
		r, ok := rules[dir]
		if !ok {
			t.Errorf("package %s is not in the table in deps_test.go: say there what it may import", dir)
			continue
		}
		for _, path := range imports {
			target, ours := ourPackage(path)
			switch {
			case !ours:
			case rules[target].forTests && !r.forTests:
				t.Errorf("%s imports %s, which is for tests only", dir, target)
			case !slices.Contains(r.may, target) && !slices.Contains(r.may, "*"):
				t.Errorf("%s imports %s; it may import %v", dir, target, r.may)
			}
		}
	}
}

func TestTechnologiesStayInTheirPackages(t *testing.T) {
	t.Parallel()
	for dir, imports := range importsOf(t) {
		for _, path := range imports {
			for prefix, allowed := range homes {
				if strings.HasPrefix(path, prefix) && !slices.Contains(allowed, dir) {
					t.Errorf("%s imports %s, whose place is %v", dir, path, allowed)
				}
			}
		}
	}
}

func TestRootImportsTheStandardLibraryAndUUIDOnly(t *testing.T) {
	t.Parallel()
	for _, path := range importsOf(t)["."] {
		if isForeign(path) && path != "github.com/google/uuid" {
			t.Errorf("the root imports %s", path)
		}
	}
}

func TestProductionCodeDoesNotImportTesting(t *testing.T) {
	t.Parallel()
	for dir, imports := range importsOf(t) {
		for _, path := range imports {
			if path == "testing" && !rules[dir].forTests {
				t.Errorf("%s imports testing and is not marked as being for tests", dir)
			}
		}
	}
}

func TestTableOfImportsHasNoPackageThatIsGone(t *testing.T) {
	t.Parallel()
	packages := importsOf(t)
	for _, dir := range slices.Sorted(maps.Keys(rules)) {
		if _, ok := packages[dir]; !ok {
			t.Errorf("the table in deps_test.go has package %s, which is not there", dir)
		}
	}
}

// importsOf returns what the packages of this module import outside their
// tests, on any platform, by directory.
func importsOf(t *testing.T) map[string][]string {
	t.Helper()
	imports := map[string][]string{}
	err := filepath.WalkDir(".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && skipped(name):
			return filepath.SkipDir
		case entry.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		dir := filepath.ToSlash(filepath.Dir(name))
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		paths := imports[dir]
		for _, spec := range file.Imports {
			path, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			paths = append(paths, path)
		}
		imports[dir] = paths
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return imports
}

// skipped reports whether the go tool would not look for packages of this
// module in a directory, or the repository does not hold it.
func skipped(dir string) bool {
	if dir == "." {
		return false
	}
	base := filepath.Base(dir)
	if strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") || base == "testdata" || dir == "data" || dir == "bin" {
		return true
	}
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil
}

// ourPackage returns the directory of an import path of this module.
func ourPackage(path string) (dir string, ours bool) {
	if path == modulePath {
		return ".", true
	}
	return strings.CutPrefix(path, modulePath+"/")
}

// isForeign reports whether an import path is neither ours nor of the standard
// library.
func isForeign(path string) bool {
	_, ours := ourPackage(path)
	first, _, _ := strings.Cut(path, "/")
	return !ours && strings.Contains(first, ".")
}
