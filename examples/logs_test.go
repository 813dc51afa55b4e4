package examples

import (
	"cmp"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var updateLogs = flag.Bool("logs.update", false, "write the log lines of the source into doc/logs.md; what they mean is left to fill in")

const logsPage = "../doc/logs.md"

// logLine is one call that logs, or one row of the page.
type logLine struct {
	Package, Level, Text, Fields string
}

// TestLogLinesAreDocumented holds doc/logs.md to the source: every line that a module can log is there, with its level and its
// fields, and nothing else; and every field has its meaning.
func TestLogLinesAreDocumented(t *testing.T) {
	source := sourceLines(t)
	page, err := os.ReadFile(logsPage)
	if err != nil {
		t.Fatal(err)
	}
	documented, when := pageLines(string(page))
	if *updateLogs {
		page := writeLines(string(page), source, when)
		if err := os.WriteFile(logsPage, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
		documented, when = pageLines(page)
	}
	for _, line := range source {
		switch i := slices.Index(documented, line); {
		case i < 0:
			t.Errorf("%s logs %+v, which %s does not have: run go test ./examples -run LogLines -logs.update and say when it is logged", line.Package, line, logsPage)
		case when[line] == "":
			t.Errorf("%s does not say when %q of %s is logged", logsPage, line.Text, line.Package)
		}
	}
	for _, line := range documented {
		if !slices.Contains(source, line) {
			t.Errorf("%s has %+v, which nothing logs", logsPage, line)
		}
	}
	checkFields(t, string(page), source)
}

var fieldRow = regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\|")

// checkFields holds the table of fields to those that lines have. The first ones are those of loggers.
func checkFields(t *testing.T, page string, lines []logLine) {
	used := map[string]bool{"module_id": true, "board": true, "repeats": true}
	for _, line := range lines {
		for _, field := range strings.Fields(line.Fields) {
			used[strings.Trim(field, "`,")] = true
		}
	}
	_, table, _ := strings.Cut(page, "\n## Fields\n")
	table, _, _ = strings.Cut(table, "\n## ")
	known := map[string]bool{}
	for _, row := range fieldRow.FindAllStringSubmatch(table, -1) {
		known[row[1]] = true
	}
	for _, field := range slices.Sorted(maps.Keys(used)) {
		if !known[field] {
			t.Errorf("the field %s is not among those of %s: use one that is, or add it", field, logsPage)
		}
	}
	for _, field := range slices.Sorted(maps.Keys(known)) {
		if !used[field] {
			t.Errorf("no line has the field %s of %s", field, logsPage)
		}
	}
}

// unlogged are folders whose lines no user of a module sees.
var unlogged = []string{"examples", "doc", "everest/everesttest", "rpc/rpctest", "rpc/internal"}

// sourceLines are all calls that log, in the order of packages, levels and texts.
func sourceLines(t *testing.T) []logLine {
	t.Helper()
	var lines []logLine
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := filepath.ToSlash(strings.TrimPrefix(path, "../"))
		if entry.IsDir() {
			if slices.Contains(unlogged, name) || strings.HasPrefix(entry.Name(), ".") && path != ".." || entry.Name() == "testdata" {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		fields := fieldVariables(file)
		ast.Inspect(file, func(node ast.Node) bool {
			if call, ok := node.(*ast.CallExpr); ok {
				line, logs, err := lineOf(call, fields)
				switch {
				case err != nil:
					t.Errorf("%s: %v", name, err)
				case logs:
					// A user knows the package, not the rooms behind it.
					line.Package, _, _ = strings.Cut(filepath.ToSlash(filepath.Dir(name)), "/internal/")
					lines = append(lines, line)
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(lines, func(a, b logLine) int {
		return cmp.Or(cmp.Compare(a.Package, b.Package), -cmp.Compare(severity(a.Level), severity(b.Level)), cmp.Compare(a.Text, b.Text), cmp.Compare(a.Fields, b.Fields))
	})
	return slices.Compact(lines)
}

var levels = []string{"debug", "info", "warn", "error"}

func severity(level string) int { return slices.Index(levels, level) }

// fieldVariables are fields that have a name in the source: zap.String("x", y) kept for several lines.
func fieldVariables(file *ast.File) map[string]string {
	fields := map[string]string{}
	ast.Inspect(file, func(node ast.Node) bool {
		if assign, ok := node.(*ast.AssignStmt); ok && len(assign.Lhs) == 1 && len(assign.Rhs) == 1 {
			name, named := assign.Lhs[0].(*ast.Ident)
			if field, ok := fieldOf(assign.Rhs[0], nil); ok && named {
				fields[name.Name] = field
			}
		}
		return true
	})
	return fields
}

// lineOf reads a call such as log.Warn("text", zap.String("field", value)).
func lineOf(call *ast.CallExpr, fields map[string]string) (line logLine, logs bool, err error) {
	method, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || len(call.Args) == 0 || !isLogger(method.X) {
		return line, false, nil
	}
	level := strings.ToLower(method.Sel.Name)
	switch {
	case level == "log", level == "check", level == "dpanic", level == "panic", level == "fatal":
		return line, false, fmt.Errorf("%s of a logger: log with Debug, Info, Warn or Error, so that the page can tell the level", method.Sel.Name)
	case severity(level) < 0:
		return line, false, nil
	}
	text, ok := constantText(call.Args[0])
	if !ok {
		return line, false, fmt.Errorf("a log line at the level %s whose text is no constant: put what changes into fields", level)
	}
	line = logLine{Level: level, Text: text}
	var names []string
	for _, argument := range call.Args[1:] {
		field, ok := fieldOf(argument, fields)
		if !ok {
			return line, false, fmt.Errorf("a field of %q cannot be read", text)
		}
		names = append(names, "`"+field+"`")
	}
	slices.Sort(names)
	line.Fields = strings.Join(names, ", ")
	return line, true, nil
}

func isLogger(expression ast.Expr) bool {
	name := ""
	switch expression := expression.(type) {
	case *ast.Ident:
		name = expression.Name
	case *ast.SelectorExpr:
		name = expression.Sel.Name
	case *ast.CallExpr:
		// A logger with more fields, which may be there or not.
		with, ok := expression.Fun.(*ast.SelectorExpr)
		return ok && with.Sel.Name == "With" && len(expression.Args) > 0 && isLogger(with.X)
	}
	name = strings.ToLower(name)
	return name == "log" || name == "logger" || name == "peers"
}

func constantText(expression ast.Expr) (string, bool) {
	switch expression := expression.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(expression.Value)
		return text, err == nil
	case *ast.BinaryExpr:
		left, ok := constantText(expression.X)
		right, ok2 := constantText(expression.Y)
		return left + right, ok && ok2
	}
	return "", false
}

func fieldOf(expression ast.Expr, variables map[string]string) (string, bool) {
	switch expression := expression.(type) {
	case *ast.Ident:
		field, ok := variables[expression.Name]
		return field, ok
	case *ast.CallExpr:
		method, ok := expression.Fun.(*ast.SelectorExpr)
		if !ok {
			return "", false
		}
		if from, ok := method.X.(*ast.Ident); !ok || from.Name != "zap" || len(expression.Args) == 0 {
			return "", false
		}
		if method.Sel.Name == "Error" {
			return "error", true
		}
		return constantText(expression.Args[0])
	}
	return "", false
}

// A package's lines follow its heading in the page, as a table.
const lineHeading = "\n### Lines of `"

var lineRow = regexp.MustCompile(`(?m)^\| (debug|info|warn|error) \| (.*?) \| (.*?) \| (.*?) ?\|$`)

// pageLines reads the tables of the page, and when each line is logged.
func pageLines(page string) (lines []logLine, when map[logLine]string) {
	when = map[logLine]string{}
	for i, section := range strings.Split(page, lineHeading) {
		name, table, found := strings.Cut(section, "`\n")
		if i == 0 || !found {
			continue
		}
		for _, row := range lineRow.FindAllStringSubmatch(table, -1) {
			line := logLine{Package: name, Level: row[1], Text: row[2], Fields: row[3]}
			lines = append(lines, line)
			when[line] = row[4]
		}
	}
	return lines, when
}

// writeLines replaces the tables of the page, which are its last part.
func writeLines(page string, lines []logLine, when map[logLine]string) string {
	kept := map[string]string{}
	for line, meaning := range when {
		kept[line.Package+line.Text] = meaning
	}
	head, _, _ := strings.Cut(page, lineHeading)
	var text strings.Builder
	text.WriteString(strings.TrimRight(head, "\n") + "\n")
	for i, line := range lines {
		if i == 0 || line.Package != lines[i-1].Package {
			fmt.Fprintf(&text, "%s%s`\n\n| level | text | fields | when |\n|---|---|---|---|\n", lineHeading, line.Package)
		}
		fmt.Fprintf(&text, "| %s | %s | %s | %s |\n", line.Level, line.Text, line.Fields, kept[line.Package+line.Text])
	}
	return text.String()
}
