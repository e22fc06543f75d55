package process

import "testing"

func TestUnitGroup(t *testing.T) {
	for path, want := range map[string]string{
		"/svc/sshd/0000000000000007":               "sshd",
		"/svc/sshd/0000000000000007/session":       "sshd",
		"/test-1/svc/a.b@c/0000000000000007":       "a.b@c",
		"/svc/podman/0000000000000007/svc/inner/x": "podman",
		"/svc/sshd":      "",
		"/svc":           "",
		"/supervisor":    "",
		"/":              "",
		"":               "",
		"/user/svcs/a/b": "",
		"/../svc/above/the/root/of/a/cgroup-namespace/": "above",
	} {
		if got := unitGroup(path); got != want {
			t.Errorf("%s: %q, not %q", path, got, want)
		}
	}
}
