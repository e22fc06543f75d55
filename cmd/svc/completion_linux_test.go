package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hoopy/unit"
)

// terminal is a pseudo-terminal: what a person has before them, and what the
// programs on it have.
func terminal(t *testing.T) (person, programs *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Skip("no pseudo-terminals here:", err)
	}
	t.Cleanup(func() { person.Close() })
	raw, err := person.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	if cerr := raw.Control(func(fd uintptr) {
		if n, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN); err == nil {
			err = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0)
		}
	}); cerr != nil || err != nil {
		t.Fatal(cerr, err)
	}
	programs, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { programs.Close() })
	return person, programs
}

const tabBound = time.Minute

// typist is a person at a shell.
type typist struct {
	t      *testing.T
	person *os.File
	said   []byte
}

func (p *typist) types(s string) {
	p.t.Helper()
	if _, err := p.person.WriteString(s); err != nil {
		p.t.Fatal(err)
	}
}

// sees waits for one of the texts, and forgets what was said up to it.
func (p *typist) sees(texts ...string) string {
	p.t.Helper()
	if err := p.person.SetReadDeadline(time.Now().Add(tabBound)); err != nil {
		p.t.Fatal(err)
	}
	for b := make([]byte, 4096); ; {
		for _, text := range texts {
			if _, rest, ok := strings.Cut(string(p.said), text); ok {
				p.said = []byte(rest)
				return text
			}
		}
		n, err := p.person.Read(b)
		if err != nil {
			p.t.Fatalf("it does not say %q but %q: %v", texts, p.said, err)
		}
		p.said = append(p.said, b[:n]...)
	}
}

// What a person types before the tab key, and what then stands there, in the real
// shells: with the script as svc prints it, and as the image has it.
func TestTabKey(t *testing.T) {
	const (
		bashKey = `bind -x '"\C-g": echo "<$READLINE_LINE>"; READLINE_LINE='`
		zshKey  = `probe() { zle -I; print -r -- "<$BUFFER>"; BUFFER=; }; zle -N probe; bindkey '^G' probe`
		loader  = "/usr/share/bash-completion/bash_completion"
	)
	root, err := filepath.Abs("../../root/usr/share")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, needs string
		shell       []string
		setup       string
	}{
		{"bash", "", []string{"bash", "--norc", "--noprofile", "-i"}, `eval "$(svc completion bash)"; ` + bashKey},
		{"bash in the image", loader, []string{"bash", "--norc", "--noprofile", "-i"},
			`BASH_COMPLETION_USER_DIR=` + root + `/bash-completion; . ` + loader + `; ` + bashKey},
		{"zsh", "", []string{"zsh", "-f", "-i"}, `autoload -Uz compinit; compinit -D -u; eval "$(svc completion zsh)"; ` + zshKey},
		{"zsh in the image", "", []string{"zsh", "-f", "-i"},
			`fpath=(` + root + `/zsh/site-functions $fpath); autoload -Uz compinit; compinit -D -u; ` + zshKey},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := exec.LookPath(tt.shell[0]); err != nil {
				t.Skipf("no %s: tools/deps priv", tt.shell[0])
			}
			if _, err := os.Stat(tt.needs); tt.needs != "" && err != nil {
				t.Skipf("no %s: tools/deps priv", tt.needs)
			}
			dir := t.TempDir()
			socket := filepath.Join(dir, "s")
			b := &backend{}
			for _, name := range []string{"sshd", "samba", "smartd", "link:lan", "getty@ttyS0", "getty@tty1", "mount:/persist", "mount:/tank/photos", "swap:LABEL=spare"} {
				b.Units = append(b.Units, unit.Report{Name: name})
			}
			defer serving(t, socket, b)()
			person, programs := terminal(t)
			cmd := exec.CommandContext(t.Context(), tt.shell[0], tt.shell[1:]...)
			cmd.Dir = dir
			cmd.Stdin, cmd.Stdout, cmd.Stderr = programs, programs, programs
			cmd.Env = append(os.Environ(), "TEST_SOCKET="+socket, "TERM=dumb", "HISTFILE=", "INPUTRC=/dev/null", "HOME="+dir, "ZDOTDIR="+dir, "PS1=$ ")
			cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() { cmd.Process.Kill(); cmd.Wait() }()
			p := &typist{t: t, person: person}
			p.types(tt.setup + "; echo DO''NE\r")
			p.sees("DONE")
			for _, line := range [][2]string{ // the first has a completion: there a file is loaded
				{"svc resta", "svc restart "},
				{"svc start ss", "svc start sshd "},
				{"svc start s", "svc start s"}, // sshd, samba, smartd
				{"svc logs -f sm", "svc logs -f smartd "},
				{"svc stop link:", "svc stop link:lan "},
				{"svc why mount:/ta", "svc why mount:/tank/photos "},
				{"svc logs getty@", "svc logs getty@tty"},
				{"svc logs getty@t", "svc logs getty@tty"},
				{"svc logs gett", "svc logs getty@tty"},
				{"svc start getty@ttyS", "svc start getty@ttyS0 "},
				{"svc why swap:LABEL=", "svc why swap:LABEL=spare "},
				{"svc logs --fo", "svc logs --follow "},
				{"svc reload --d", "svc reload --dry-run "},
				{"svc help wh", "svc help why "},
				{"svc completion z", "svc completion zsh "},
				{"svc blame ", "svc blame "},
			} {
				p.types(line[0] + "\t\a")
				p.sees("<")
				p.sees(line[1] + ">")
				p.sees("$ ")
			}
		})
	}
}
