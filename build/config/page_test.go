package config

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hoopy/build/modules"
	"hoopy/unit/schema"
)

var update = flag.Bool("update", false, "write docs/image.md anew")

// docs/image.md is made from the table that checks image.toml.
func TestPage(t *testing.T) {
	const file = "../../docs/image.md"
	var sets strings.Builder
	for _, s := range modules.SetDocs {
		sets.WriteString("- `@" + s.Name + "`: " + s.Doc + "\n  `" + strings.Join(modules.Sets[s.Name], "`, `") + "`.\n")
	}
	want := pageHead + schema.Page(Keys) + pageSets + sets.String() + pageRest
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(got), want); d != "" {
		t.Errorf("go test ./build/config -run TestPage -update writes it anew: %s", d)
	}
}

const pageHead = `# image.toml: every key

This page is made from the table that checks the file (` + "`build/config/keys.go`" + `); a
test holds both together. The file is strict TOML: a key that is not listed here
is a mistake, and ` + "`go run ./build check`" + ` names all mistakes with file and line.
docs/build.md tells how an image of your own begins.

`

const pageSets = `
## Sets of modules

No kernel has all of them; what one lacks is passed over.

`

const pageRest = `
## packages

The list beside image.toml: words as in apk's world, any number a line, ` + "`#`" + ` begins
a comment. What they depend on is added.

- ` + "`openssh-server`" + `: a package, or something that one provides
  (` + "`cmd:rsync`, `so:libcrypto.so.3`" + `).
- ` + "`linux-lts=6.12.30-r0`, `linux-lts<6.13`, `linux-lts~6.12`" + `: with a version.
- ` + "`tailscale@edge`" + `: from the repository pinned ` + "`@edge`" + ` in image.toml.
- ` + "`!mkinitfs`" + `: never, whoever asks for it.

## packages.lock

Written by ` + "`build update`" + ` and by the first build; commit it. A build uses it as it
stands, and refuses it when image.toml or packages ask for something else. It also
keeps the numbers of users and groups that were given once: they own files on your
disks, so they are never given to another name.

- ` + "`arch`, `branch`, `want`, `provides`, `repository`" + `: what it answers.
- ` + "`package NAME VERSION HASH REPOSITORY`" + `: in the order of installation; the hash is
  that of the signed index.
- ` + "`user NAME ID`, `group NAME ID`" + `.
`
