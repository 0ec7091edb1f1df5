package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Tests that do without something say so by internal/toolchain, which names it
// and fails where nothing may be left out. What else leaves a test out are
// properties of a system, in words.
func TestSkippedTestsSayWhy(t *testing.T) {
	files := 0
	err := filepath.WalkDir("../..", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && d.Name() != ".." || d.Name() == "node_modules" || d.Name() == "toolchain") {
			return filepath.SkipDir
		}
		if strings.HasSuffix(file, "_test.go") {
			files++
			checkSkips(t, file)
		}
		if strings.HasSuffix(file, ".txtar") {
			checkScript(t, file)
		}
		return nil
	})
	if err != nil || files < 100 {
		t.Fatalf("%d files, %v", files, err)
	}
}

func checkSkips(t *testing.T, file string) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(f, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		sel, ok := call.Fun.(*ast.SelectorExpr)
		if !ok || sel.Sel.Name != "Skip" && sel.Sel.Name != "Skipf" && sel.Sel.Name != "SkipNow" {
			return true
		}
		if receiver, ok := sel.X.(*ast.Ident); !ok || receiver.Name != "t" && receiver.Name != "b" && receiver.Name != "f" {
			return true // of something else, as of a decoder
		}
		if len(call.Args) == 0 {
			t.Errorf("%s: a test is skipped without a word", file)
		} else if word, ok := call.Args[0].(*ast.BasicLit); !ok || word.Kind != token.STRING {
			t.Errorf("%s: a test is skipped without saying in words why; a missing program is for toolchain.Program", file)
		}
		return true
	})
}

// A script is left out by needs, or because of the system it is on.
var skipsScript = regexp.MustCompile(`(?m)^(\[.*\] )?skip\b.*$`)

func checkScript(t *testing.T, file string) {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range skipsScript.FindAllString(string(content), -1) {
		if !strings.HasPrefix(line, "[windows] skip '") && !strings.HasPrefix(line, "[!linux] skip '") {
			t.Errorf("%s: %q; expected needs PROGRAM, or a system and a reason", file, line)
		}
	}
}
