package main

import (
	"bufio"
	"bytes"
	"debug/elf"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"hoopy/build/cpio"
	"hoopy/build/tiny"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"build": main})
}

// TestScripts runs testdata/*.txtar. Each starts in a folder that holds the
// smallest image (package tiny) and whatever files the script brings; its
// repository is made of src/ by the command repo.
func TestScripts(t *testing.T) {
	goEnv := map[string]string{}
	for _, name := range []string{"GOCACHE", "GOROOT", "GOMODCACHE"} {
		out, err := exec.Command("go", "env", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		goEnv[name] = strings.TrimSpace(string(out))
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			for name, value := range goEnv {
				env.Setenv(name, value)
			}
			env.Setenv("GOPROXY", "off")
			env.Setenv("GOTOOLCHAIN", "local")
			return tiny.Folder(env.WorkDir)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"repo": repo, "machine": machine, "ucode": ucode, "spoil": spoil, "serve": serve, "unpack": unpack,
		},
	})
}

// repo DIR SRC [ARCH] packs the folders of SRC into the repository DIR.
func repo(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: repo DIR SRC [ARCH]")
	}
	arch := tiny.Arch
	if len(args) == 3 {
		arch = args[2]
	}
	ts.Check(tiny.RepositoryFor(arch, ts.MkAbs(args[0]), ts.MkAbs(args[1])))
}

// machine FILE ARCH holds an ELF program against its machine.
func machine(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: machine FILE ARCH")
	}
	f, err := elf.Open(ts.MkAbs(args[0]))
	ts.Check(err)
	defer f.Close()
	want := map[string]elf.Machine{"x86_64": elf.EM_X86_64, "aarch64": elf.EM_AARCH64}[args[1]]
	if f.Machine != want {
		ts.Fatalf("%s is for %v", args[0], f.Machine)
	}
}

// ucode FILE makes what an amd-ucode package brings.
func ucode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: ucode FILE")
	}
	var b bytes.Buffer
	w := cpio.NewWriter(&b)
	for _, dir := range []string{"kernel", "kernel/x86", "kernel/x86/microcode"} {
		ts.Check(w.Add(cpio.Header{Name: dir, Mode: cpio.TypeDir | 0o755}, nil))
	}
	ts.Check(w.Add(cpio.Header{Name: "kernel/x86/microcode/AuthenticAMD.bin", Mode: cpio.TypeRegular | 0o644, Size: 9}, strings.NewReader("microcode")))
	ts.Check(w.Close())
	ts.Check(os.MkdirAll(filepath.Dir(ts.MkAbs(args[0])), 0o755))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b.Bytes(), 0o644))
}

// spoil FILE changes one bit in the middle of each FILE.
func spoil(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: spoil FILE...")
	}
	for _, name := range args {
		files, err := filepath.Glob(ts.MkAbs(name))
		ts.Check(err)
		if len(files) == 0 {
			ts.Fatalf("spoil %s: no such file", name)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			ts.Check(err)
			data[len(data)*3/4] ^= 4
			ts.Check(os.WriteFile(file, data, 0o644))
		}
	}
}

// serve DIR makes an HTTP mirror of a repository and writes an image.toml that
// names it; with -dies it hangs up in the middle of every package.
func serve(ts *testscript.TestScript, neg bool, args []string) {
	dies := len(args) > 0 && args[0] == "-dies"
	if dies {
		args = args[1:]
	}
	if neg || len(args) != 1 {
		ts.Fatalf("usage: serve [-dies] DIR")
	}
	files := http.StripPrefix("/alpine/edge/main/", http.FileServer(http.Dir(ts.MkAbs(args[0]))))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if dies && strings.HasSuffix(r.URL.Path, ".apk") {
			w.Header().Set("Content-Length", "100000")
			w.Write(make([]byte, 10))
			panic(http.ErrAbortHandler)
		}
		files.ServeHTTP(w, r)
	}))
	ts.Defer(server.Close)
	text := ts.ReadFile("image.toml")
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "mirrors") {
			text = strings.Replace(text, line, "mirrors = [\""+server.URL+"/alpine\"]\n", 1)
		}
	}
	ts.Check(os.WriteFile(ts.MkAbs("image.toml"), []byte(text), 0o644))
	ts.Check(os.MkdirAll(ts.MkAbs("keys"), 0o755))
	public := ts.ReadFile(filepath.Join(args[0], tiny.KeyName))
	ts.Check(os.WriteFile(filepath.Join(ts.MkAbs("keys"), tiny.KeyName), []byte(public), 0o644))
}

// unpack FILE DIR unpacks the files of an initramfs that is not compressed.
func unpack(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: unpack FILE DIR")
	}
	f, err := os.Open(ts.MkAbs(args[0]))
	ts.Check(err)
	defer f.Close()
	in := bufio.NewReader(f)
	for {
		if _, err := in.Peek(1); errors.Is(err, io.EOF) {
			return
		}
		if b, _ := in.Peek(1); b[0] == 0 { // padding
			_, _ = in.Discard(1)
			continue
		}
		archive := cpio.NewReader(in)
		for {
			h, err := archive.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			ts.Check(err)
			if h.Type() != cpio.TypeRegular {
				continue
			}
			body, err := io.ReadAll(archive)
			ts.Check(err)
			file := filepath.Join(ts.MkAbs(args[1]), h.Name)
			ts.Check(os.MkdirAll(filepath.Dir(file), 0o755))
			ts.Check(os.WriteFile(file, body, fs.FileMode(h.Mode&0o777)))
		}
	}
}
