package apk

import (
	"strings"
	"testing"
)

const bootWorld = "alpine-base openssh e2fsprogs chrony dhcpcd openssl"

func solveIDs(t testing.TB, world string, repos []*Repo, o SolveOptions) []string {
	t.Helper()
	pkgs, err := Solve(strings.Fields(world), repos, o)
	if err != nil {
		t.Fatalf("world %q: %v", world, err)
	}
	ids := make([]string, len(pkgs))
	for i, p := range pkgs {
		ids[i] = p.ID()
	}
	return ids
}

func TestSolveBootList(t *testing.T) {
	ids := solveIDs(t, bootWorld, alpineRepos(t, "main"), SolveOptions{})
	t.Log(len(ids), ids)
}

func TestSolveFull(t *testing.T) {
	ids := solveIDs(t, bootWorld+" zfs-lts linux-lts python3 tailscale ksmbd-tools smartmontools restic", alpineRepos(t, "full/main", "full/community"), SolveOptions{})
	t.Log(len(ids), ids)
}
