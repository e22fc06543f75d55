package main

import (
	"fmt"
	"os"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"hoopy/kmsg"
	"hoopy/unit"
)

// keyConfig is the memfd with the files that the machine runs with: what is on
// the disk counts only when somebody says so. A supervisor that died in the
// middle of somebody's edit goes on with what was there before.
const keyConfig = "config"

// configuration is what this life runs with.
type configuration struct {
	*unit.Config

	mu    sync.Mutex
	files *unit.Files // Config's, and the units of svc run since
}

// configure reads what this life runs with. Mistakes are said, and cost no more
// than what they are about.
func (m *machine) configure(stored map[string]int) (*unit.Graph, error) {
	files, held := m.files(stored)
	if !held {
		if err := m.hold(files); err != nil {
			return nil, err
		}
	}
	config, err := files.Load("/etc")
	m.complain(err)
	m.config = &configuration{Config: config, files: files}
	if m.safe {
		fallback(config)
	}
	graph, err := config.Graph()
	m.complain(err)
	return graph, nil
}

// files are those that an earlier epoch left with the keeper, or those on the
// disk; held says that the keeper has them.
func (m *machine) files(stored map[string]int) (files *unit.Files, held bool) {
	fd, ok := stored[keyConfig]
	if !ok {
		return unit.ReadFiles(os.DirFS("/etc")), false
	}
	delete(stored, keyConfig)
	f := os.NewFile(uintptr(fd), keyConfig)
	defer f.Close()
	files, err := readFiles(f)
	if err != nil {
		m.log.Say(kmsg.Error, "supervisor: ", err.Error(), "; reading /etc anew")
		return unit.ReadFiles(os.DirFS("/etc")), false
	}
	return files, true
}

func readFiles(f *os.File) (*unit.Files, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	b := make([]byte, info.Size())
	if _, err := f.ReadAt(b, 0); err != nil && len(b) > 0 {
		return nil, err
	}
	return unit.ParseFiles(b)
}

// hold gives the keeper the files for the next epoch.
func (m *machine) hold(files *unit.Files) error {
	fd, err := unix.MemfdCreate(keyConfig, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return fmt.Errorf("configuration: memfd_create: %w", err)
	}
	f := os.NewFile(uintptr(fd), keyConfig)
	defer f.Close()
	if _, err := f.Write(files.Append(nil)); err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	seals := unix.F_SEAL_WRITE | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_SEAL
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		return fmt.Errorf("configuration: seal: %w", err)
	}
	m.keeper.Store(keyConfig, fd)
	return nil
}

// remember has later epochs know units, name to text, that no file on the disk
// has; an empty text has them forget one.
func (m *machine) remember(units map[string]string) error {
	m.config.mu.Lock()
	defer m.config.mu.Unlock()
	files := m.config.files.WithTransients(units)
	if err := m.hold(files); err != nil {
		return err
	}
	m.config.files = files
	return nil
}

// complain says mistakes of the configuration, and keeps them for svc status. A
// bad file costs its unit alone.
func (m *machine) complain(err error) {
	if err == nil {
		return
	}
	for _, line := range strings.Split(err.Error(), "\n") {
		m.mistakes = append(m.mistakes, line)
		m.log.Say(kmsg.Error, line)
	}
}

// fallback adds what safe mode must have, where the configuration lacks it: a
// way in.
func fallback(c *unit.Config) {
	if len(c.Machine.Links) == 0 {
		c.Machine.Links = []unit.LinkConfig{unit.FallbackLink}
	}
	for _, u := range c.Units {
		if u.Name == "sshd" {
			return
		}
	}
	c.Units = append(c.Units, &unit.Unit{
		Name: "sshd", Kind: unit.Service, Description: "built in: safe mode found no unit sshd",
		Command: []string{"/usr/sbin/sshd", "-D", "-e"}, Essential: true, StopMain: true,
		StartTimeout: unit.DefaultStartTimeout, StopTimeout: unit.DefaultStopTimeout, HookTimeout: unit.DefaultHookTimeout,
		Process: unit.Process{Umask: 0o022},
	})
}
