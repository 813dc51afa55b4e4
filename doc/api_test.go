package doc

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/printer"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var writeAPI = flag.Bool("api.write", false, "write .ci/api anew from the packages as they are")

const apiDirectory = "../.ci/api"

// TestAPI compares what each public package exports with what .ci/api promises.
func TestAPI(t *testing.T) {
	current := exportedOfAll(t)
	if *writeAPI {
		replacePromises(t, current)
	}
	promised := make(map[string]string)
	files, err := filepath.Glob(apiDirectory + "/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		promised[filepath.Base(file)] = string(content)
	}
	if diff := cmp.Diff(promised, current); diff != "" {
		t.Errorf("the exported names are not those of .ci/api (-promised +exported). Where the change is meant, run\n"+
			"	go test ./doc -run '^TestAPI$' -api.write\n%s", diff)
	}
}

func TestAPILinesOfEachDeclaration(t *testing.T) {
	const source = `package sample
// Limit is documented.
const Limit, hidden = 5, 6
const (
	One Kind = iota
	Two
)
var ErrClosed error
type Kind int
func (k Kind) String() string { return "" }
func (k Kind) private() {}
type Conn struct {
	Name, Alias string
	secret int
	*Kind
}
func (c *Conn) Close() error { return nil }
type Handler interface {
	Serve(name string, more ...int) (bool, error)
	private()
}
type Alias = Kind
func Dial[T any](address string) (*Conn, error) { return nil, nil }
type hiddenType struct{ Field int }
func (hiddenType) Method() {}
`
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "sample.go", source, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"const Limit = 5",
		"const One Kind",
		"const Two Kind",
		"field Conn.Alias string",
		"field Conn.Kind *Kind",
		"field Conn.Name string",
		"func Dial[T any](address string) (*Conn, error)",
		"method (*Conn) Close() error",
		"method (Handler) Serve(name string, more ...int) (bool, error)",
		"method (Kind) String() string",
		"type Alias = Kind",
		"type Conn struct",
		"type Handler interface",
		"type Kind int",
		"var ErrClosed error",
	}
	if diff := cmp.Diff(want, exportedOf(fset, file)); diff != "" {
		t.Errorf("exported (-want +got):\n%s", diff)
	}
}

func replacePromises(t *testing.T, current map[string]string) {
	t.Helper()
	if err := os.RemoveAll(apiDirectory); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(apiDirectory, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, lines := range current {
		if err := os.WriteFile(filepath.Join(apiDirectory, name), []byte(lines), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// exportedOfAll returns the lines of each public package of the libraries, by the name of its file in .ci/api.
// Programs, internal packages, examples and generated bindings promise nothing.
func exportedOfAll(t *testing.T) map[string]string {
	t.Helper()
	lines := make(map[string]string)
	linux := build.Default
	linux.GOOS, linux.GOARCH = "linux", "amd64"
	for _, top := range []string{"rpc", "everest", "handshake", "satellite", "aggregator"} {
		err := filepath.WalkDir(filepath.Join("..", top), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.IsDir() {
				return err
			}
			switch entry.Name() {
			case "internal", "testdata", "bindings":
				return filepath.SkipDir
			}
			found, err := linux.ImportDir(path, 0)
			if _, empty := err.(*build.NoGoError); empty || err == nil && found.Name == "main" {
				return nil
			} else if err != nil {
				return err
			}
			relative, err := filepath.Rel("..", path)
			if err != nil {
				return err
			}
			name := strings.ReplaceAll(filepath.ToSlash(relative), "/", ".") + ".txt"
			lines[name], err = exportedOfPackage(path, found.GoFiles)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return lines
}

func exportedOfPackage(directory string, names []string) (string, error) {
	fset := token.NewFileSet()
	var lines []string
	for _, name := range names {
		file, err := parser.ParseFile(fset, filepath.Join(directory, name), nil, parser.SkipObjectResolution)
		if err != nil {
			return "", err
		}
		lines = append(lines, exportedOf(fset, file)...)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n") + "\n", nil
}

// exportedOf returns one line for each exported symbol of a file, sorted: constants and variables, types, fields,
// functions, and the methods of exported types.
func exportedOf(fset *token.FileSet, file *ast.File) []string {
	a := apiLines{fset: fset}
	for _, declaration := range file.Decls {
		switch declaration := declaration.(type) {
		case *ast.FuncDecl:
			a.function(declaration)
		case *ast.GenDecl:
			a.general(declaration)
		}
	}
	slices.Sort(a.lines)
	return a.lines
}

type apiLines struct {
	fset  *token.FileSet
	lines []string
}

func (a *apiLines) add(format string, arguments ...any) {
	a.lines = append(a.lines, fmt.Sprintf(format, arguments...))
}

// text returns a node as it is written, on one line.
func (a *apiLines) text(node any) string {
	var written bytes.Buffer
	if err := printer.Fprint(&written, a.fset, node); err != nil {
		panic(err) // a node that was parsed can be printed
	}
	return strings.Join(strings.Fields(written.String()), " ")
}

func (a *apiLines) signature(function *ast.FuncType) string {
	return strings.TrimPrefix(a.text(function), "func")
}

func (a *apiLines) function(declaration *ast.FuncDecl) {
	if !declaration.Name.IsExported() {
		return
	}
	if declaration.Recv == nil {
		a.add("func %s%s", declaration.Name, a.signature(declaration.Type))
		return
	}
	receiver := declaration.Recv.List[0].Type
	if ast.IsExported(baseName(receiver)) {
		a.add("method (%s) %s%s", a.text(receiver), declaration.Name, a.signature(declaration.Type))
	}
}

func (a *apiLines) general(declaration *ast.GenDecl) {
	var repeated ast.Expr // the type of constants that repeat the expression above them
	for _, spec := range declaration.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			if spec.Name.IsExported() {
				a.typeSpec(spec)
			}
		case *ast.ValueSpec:
			if spec.Type != nil || len(spec.Values) > 0 {
				repeated = spec.Type
			}
			a.values(declaration.Tok, spec, repeated)
		}
	}
}

func (a *apiLines) values(kind token.Token, spec *ast.ValueSpec, valueType ast.Expr) {
	for i, name := range spec.Names {
		if !name.IsExported() {
			continue
		}
		line := kind.String() + " " + name.Name
		if valueType != nil {
			line += " " + a.text(valueType)
		}
		if kind == token.CONST && i < len(spec.Values) {
			if value := a.text(spec.Values[i]); !strings.Contains(value, "iota") {
				line += " = " + value
			}
		}
		a.lines = append(a.lines, line)
	}
}

func (a *apiLines) typeSpec(spec *ast.TypeSpec) {
	name := spec.Name.Name
	if spec.TypeParams != nil {
		var parameters []string
		for _, field := range spec.TypeParams.List {
			for _, parameter := range field.Names {
				parameters = append(parameters, parameter.Name+" "+a.text(field.Type))
			}
		}
		name += "[" + strings.Join(parameters, ", ") + "]"
	}
	switch declared := spec.Type.(type) {
	case *ast.StructType:
		a.add("type %s struct", name)
		a.fields(spec.Name.Name, declared.Fields)
	case *ast.InterfaceType:
		a.add("type %s interface", name)
		for _, method := range declared.Methods.List {
			if signature, is := method.Type.(*ast.FuncType); is && method.Names[0].IsExported() {
				a.add("method (%s) %s%s", spec.Name.Name, method.Names[0], a.signature(signature))
			}
		}
	default:
		if spec.Assign.IsValid() {
			name += " ="
		}
		a.add("type %s %s", name, a.text(declared))
	}
}

func (a *apiLines) fields(owner string, fields *ast.FieldList) {
	for _, field := range fields.List {
		names := field.Names
		if len(names) == 0 {
			names = []*ast.Ident{{Name: baseName(field.Type)}}
		}
		for _, name := range names {
			if name.IsExported() {
				a.add("field %s.%s %s", owner, name.Name, a.text(field.Type))
			}
		}
	}
}

// baseName returns the name of a type without pointer, package and type arguments.
func baseName(expression ast.Expr) string {
	switch expression := expression.(type) {
	case *ast.Ident:
		return expression.Name
	case *ast.StarExpr:
		return baseName(expression.X)
	case *ast.SelectorExpr:
		return expression.Sel.Name
	case *ast.IndexExpr:
		return baseName(expression.X)
	case *ast.IndexListExpr:
		return baseName(expression.X)
	}
	return ""
}
