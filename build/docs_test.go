package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"hoopy/build/config"
	"hoopy/unit"
)

// docs/control.md names every operation and every key that the protocol has.
func TestControlPage(t *testing.T) {
	page, err := os.ReadFile("../docs/control.md")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, file := range []string{"../control/control.go", "../unit/event.go"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`\bOp += "([a-z-]+)"|json:"([a-z_]+)`).FindAllStringSubmatch(string(text), -1) {
			n++
			if name := m[1] + m[2]; !strings.Contains(string(page), "`"+name+"`") && !strings.Contains(string(page), `"`+name+`"`) {
				t.Errorf("%s: %s is not told", file, name)
			}
		}
	}
	if n < 80 {
		t.Errorf("only %d names found", n)
	}
}

// What docs/build.md shows is right: its pieces of image.toml, packages and
// units are read as a build would.
func TestTour(t *testing.T) {
	text, err := os.ReadFile("../docs/build.md")
	if err != nil {
		t.Fatal(err)
	}
	pieces := map[string][]string{}
	blocks := strings.Split(string(text), "\n```")
	for i := 1; i < len(blocks); i += 2 {
		_, body, _ := strings.Cut(blocks[i], "\n")
		first, rest, _ := strings.Cut(body, "\n")
		if name, ok := strings.CutPrefix(first, "# "); ok {
			pieces[name] = append(pieces[name], rest)
		}
	}
	if len(pieces["image.toml"]) != 5 || len(pieces["packages"]) != 1 || len(pieces["root/etc/svc/hello.toml"]) != 1 {
		t.Fatalf("%q", pieces)
	}
	const head = "arch = \"x86_64\"\nbranch = \"v3.22\"\nmirrors = [\"https://dl-cdn.alpinelinux.org/alpine\"]\n"
	for _, piece := range pieces["image.toml"] {
		whole := head
		for key, value := range map[string]string{"modules": `"all"`, "repositories": `["main"]`} {
			if !strings.Contains(piece, key) {
				whole += key + " = " + value + "\n"
			}
		}
		if _, err := config.Parse("image.toml", whole+piece); err != nil {
			t.Errorf("%s\n%v", piece, err)
		}
	}
	if words, err := config.ParsePackages("packages", pieces["packages"][0], []string{"edge"}); err != nil || len(words) != 5 {
		t.Errorf("%q, %v", words, err)
	}
	dir := t.TempDir()
	for name, text := range map[string]string{"init.toml": "hostname = \"nas\"\n", "svc/hello.toml": pieces["root/etc/svc/hello.toml"][0]} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := unit.Load(os.DirFS(dir), "etc"); err != nil {
		t.Error(err)
	}
	// every command has its line in the help, and those of the page exist
	for name := range commands {
		if !strings.Contains(usage, "\n  "+name) {
			t.Errorf("help does not tell of %s", name)
		}
	}
	for _, line := range strings.Split(string(text), "go run ./build ")[1:] {
		word, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		word = strings.Trim(word, "`")
		if _, known := commands[word]; !known && !strings.HasPrefix(word, "-") {
			t.Errorf("there is no command %q", word)
		}
	}
}

// The page names the commands that install scripts can call: all of them, and
// no others.
func TestScriptCommandsOnThePage(t *testing.T) {
	text, err := os.ReadFile("../docs/build.md")
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(text), "as busybox has it:\n")
	list, _, found := strings.Cut(list, "; and what a shell has built in")
	if !found {
		t.Fatal("the list is not there")
	}
	var told []string
	for i, word := range strings.Split(list, "`") {
		if i%2 == 1 {
			told = append(told, word)
		}
	}
	if have := scriptCommands(t); !slices.Equal(told, have) {
		t.Errorf("the page has %q, the interpreter %q", told, have)
	}
}

// scriptCommands are the names in the switch of install's commandOf, sorted.
func scriptCommands(t *testing.T) (names []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "install/commands.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Name.Name != "commandOf" {
			continue
		}
		ast.Inspect(f, func(n ast.Node) bool {
			c, ok := n.(*ast.CaseClause)
			if !ok {
				return true
			}
			for _, e := range c.List {
				if lit, ok := e.(*ast.BasicLit); ok { // the others are the interpreter's own
					name, err := strconv.Unquote(lit.Value)
					if err != nil {
						t.Fatal(err)
					}
					names = append(names, name)
				}
			}
			return false
		})
	}
	slices.Sort(names)
	return names
}
