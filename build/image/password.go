package image

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"hoopy/build/tree"
)

const shadowFile = "etc/shadow"

// rootPassword sets root's field in etc/shadow: hash, or "*" when it is empty.
// Alpine's package leaves it empty, which lets anyone in; "!" would lock the
// account, and sshd refuses even keys then. A tree with etc/passwd and without
// etc/shadow gets one.
func rootPassword(t *tree.Tree, hash string) error {
	if hash == "" {
		hash = "*"
	}
	passwd, err := t.ReadFile("etc/passwd")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !strings.HasPrefix("\n"+string(passwd), "\nroot:") && !strings.Contains(string(passwd), "\nroot:") {
		return errors.New("etc/passwd: has no root")
	}
	text, err := t.ReadFile(shadowFile)
	if errors.Is(err, fs.ErrNotExist) {
		e, err := t.WriteFile(shadowFile, []byte("root:"+hash+":0:::::::\n"), 0o640)
		if err == nil {
			e.Source = "build"
		}
		return err
	}
	if err != nil {
		return err
	}
	found := false
	lines := strings.Split(string(text), "\n")
	for i, line := range lines {
		if f := strings.SplitN(line, ":", 3); f[0] == "root" && len(f) == 3 {
			lines[i], found = "root:"+hash+":"+f[2], true
		}
	}
	if !found {
		lines = append([]string{"root:" + hash + ":0:::::::"}, lines...)
	}
	_, err = t.WriteFile(shadowFile, []byte(strings.Join(lines, "\n")), 0o640)
	return err
}

// checkPasswords refuses a tree in which an account opens without a password,
// or in which others can read the hashes.
func checkPasswords(t *tree.Tree) error {
	for _, file := range []string{"etc/passwd", shadowFile} {
		text, err := t.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(text)) {
			line = strings.TrimSuffix(line, "\n")
			f := strings.Split(line, ":")
			if line != "" && (len(f) < 2 || f[1] == "") {
				return fmt.Errorf("%s: user %q has an empty password; write * or a hash", file, f[0])
			}
		}
		if e, err := t.Stat(file); err != nil {
			return err
		} else if file == shadowFile && e.Mode.Perm()&0o027 != 0 {
			return fmt.Errorf("%s: mode %04o lets others read the hashes", file, e.Mode.Perm())
		}
	}
	return nil
}
