package apk

import (
	"strings"
	"testing"
)

const bootWorld = "alpine-base openssh e2fsprogs chrony dhcpcd openssl"

// nas is a list like that of a real home server.
const nas = `alpine-base agetty bash blkid bind-tools ca-certificates chrony coreutils curl dhcpcd dosfstools
e2fsprogs ethtool eudev eudev-netifnames findutils gcompat git hdparm htop iproute2 iperf3 jq ksmbd-tools less
linux-lts linux-firmware-none lm-sensors lsblk lsof mbuffer mount mosh nano ncdu nfs-utils nvme-cli openssh
openssl pciutils procps python3 py3-pip restic rsync rclone samba shadow smartmontools sgdisk strace sudo tailscale
tmux tzdata udev-init-scripts usbutils util-linux-misc vim wget wireguard-tools xfsprogs zfs zfs-lts zfs-scripts zstd`

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

// The sets and, for the first, the order are apk's; oracle_test.go asks it.
func TestSolveReal(t *testing.T) {
	for _, tc := range []struct {
		world       string
		repos       []string
		want        int
		first, last string
	}{
		{bootWorld, []string{"main"}, 55, "alpine-baselayout-data-3.4.3-r2", "openssl-3.1.4-r5"},
		{nas, []string{"full/main", "full/community"}, 311, "", ""},
	} {
		ids := solveIDs(t, tc.world, alpineRepos(t, tc.repos...), SolveOptions{})
		if len(ids) != tc.want {
			t.Errorf("%s: %d packages, want %d", tc.world, len(ids), tc.want)
		}
		if tc.first != "" && (ids[0] != tc.first || ids[len(ids)-1] != tc.last) {
			t.Errorf("%s: from %s to %s, want %s to %s", tc.world, ids[0], ids[len(ids)-1], tc.first, tc.last)
		}
	}
}

// BenchmarkSolveFullIndexes reads the full indexes and solves a list of about 60 names.
func BenchmarkSolveFullIndexes(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		repos := alpineRepos(b, "full/main", "full/community")
		if _, err := Solve(strings.Fields(nas), repos, SolveOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}
