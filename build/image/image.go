// Package image makes a bootable kernel and initramfs from a folder that
// describes them.
//
// # What goes in
//
// The folder holds image.toml, packages, packages.lock (package config),
// keys/ (who may sign packages), root/ (files as they are to boot) and VERSION;
// and, if wanted, setup.sh (a script that changes what the packages laid), a
// list of hardware, and cmd/ (programs of its Go module; init and svc are
// hoopy's own unless they are among them).
//
// # What comes out
//
// In Options.Out: vmlinuz, initramfs and manifest, which lists every entry of
// the image. They are written beside and renamed when all of them are whole,
// so a build that fails leaves the last good ones.
//
// # The archive
//
// Four frames, each compressed by itself and padded to 4 bytes; the kernel
// unpacks one after the other. Before them, where a package brings it, lies the
// processors' microcode, not compressed, for the kernel to find before it
// unpacks anything.
//
//  1. /init and the device nodes that a Go program needs before main;
//  2. busybox and the libraries it needs, for a shell when the rest is lost;
//  3. packages and kernel modules;
//  4. root/, our programs, and as the very last entry /.hoopy/complete, whose
//     absence tells /init that the archive was cut off or did not fit.
//
// No path but directories stands in two frames, so none overwrites another's
// file (the kernel would write through hard links), and hard links are made
// within a frame only. Frames 2 and 3 change with the packages alone and come
// from the cache otherwise, which is why a change under root/ is quick.
//
// # Same in, same out
//
// Nothing of the host gets into the image: owners are root's or those of the
// packages, modes come from packages or from the one bit that git keeps, times
// from packages or from one epoch, order is that of names.
package image

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"hoopy/build/apk"
	"hoopy/build/config"
	"hoopy/unit"
)

// Options says what to build. Dir, Out and Cache are required.
type Options struct {
	// Dir is the folder that describes the image.
	Dir string
	// Out receives vmlinuz, initramfs and manifest.
	Out string
	// Cache keeps packages, frames and programs. It can be deleted at any time.
	Cache string
	// Self is the folder of hoopy's own module, whose cmd/init and cmd/svc are
	// used where Dir has none; empty means that Dir must have them.
	Self string
	// Release compresses as hard as it can: ten times slower, a tenth smaller.
	Release bool
	// Repos are repositories (folders or addresses) to use in place of
	// Alpine's, preferred first; Keys are files of public keys that may sign
	// them, beside those in Dir/keys.
	Repos, Keys []string
	// Packages is a list to use in place of Dir/packages; empty means that one.
	Packages string
	// Only limits the stand-in to these packages and puts it before the other
	// repositories.
	Only []string
	// Login lays a host key and an authorized key, kept in Out/ssh.
	Login bool
	// Epoch is the time in seconds since 1970 of what no package brings; 0
	// means that of the newest file of a package.
	Epoch int64
	// StandIn makes a local repository of the named packages below dir and
	// returns the file of the public key that signs it. It is called where no
	// mirror answers; nil means that this is an error.
	StandIn func(ctx context.Context, dir string, names []string) (key string, err error)
	// Now is the clock, for how long things took and how old they are; nil
	// means time.Now. Nothing of it gets into the image.
	Now func() time.Time
	// Note, if set, hears of what is worth a line while the build runs; never
	// from two goroutines at once.
	Note func(line string)
	// Progress, if set, hears how far the download of packages is, at most ten
	// times a second and never when all are in the cache; never from two
	// goroutines at once, but while Note may be called.
	Progress func(apk.Progress)
}

// Result is what a build made.
type Result struct {
	// Vmlinuz, Initramfs and Manifest are files.
	Vmlinuz, Initramfs, Manifest string
	// Cmdline is image.toml's.
	Cmdline string
	// ID names the image: the version and a hash over what went in.
	ID string
	// RAM is the least memory in MiB with which the image unpacks and runs.
	RAM int
	// SSHKey and KnownHosts are files for ssh(1); empty without Login.
	SSHKey, KnownHosts string
	// Report is the text for the terminal.
	Report string
}

// builder carries one build through its stages.
type builder struct {
	Options
	config  *config.Config
	want    []string
	version string
	script  string   // setup.sh
	devices []string // modaliases of Config.Hardware
	units   []*unit.Unit
	machine []byte // init.toml with what root/etc/fstab says; nil: as it stands
	cache   *apk.Cache
	timing  stopwatch
}

// Build makes the image. Errors name the package, file or line at fault.
func Build(ctx context.Context, o Options) (*Result, error) {
	b, err := newBuilder(o)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	programs := b.compile(ctx)
	base, err := b.base(ctx)
	if err != nil {
		cancel()
		<-programs.done
		return nil, err
	}
	<-programs.done
	if programs.err != nil {
		return nil, programs.err
	}
	b.timing.lap("programs")
	l := newLayer(base.tree, b.Epoch)
	if err := b.fill(l, base, programs.files); err != nil {
		return nil, err
	}
	return b.pack(ctx, base, l)
}

// newBuilder reads the configuration and opens the cache.
func newBuilder(o Options) (*builder, error) {
	b := &builder{Options: o}
	var one sync.Mutex // several downloads may have something to tell
	b.Note = func(line string) {
		if o.Note != nil {
			one.Lock()
			defer one.Unlock()
			o.Note(line)
		}
	}
	if b.Now == nil {
		b.Now = time.Now
	}
	b.timing = stopwatch{now: b.Now, at: b.Now()}
	if err := b.read(); err != nil {
		return nil, err
	}
	cache, err := apk.NewCache(filepath.Join(o.Cache, "apk"))
	if err != nil {
		return nil, err
	}
	b.cache = cache
	return b, cache.Sweep()
}

// read takes in the configuration; every mistake of every file is reported.
func (b *builder) read() error {
	var errs [6]error
	b.config, errs[0] = config.Load(filepath.Join(b.Dir, "image.toml"))
	list := b.Packages
	if list == "" {
		list = filepath.Join(b.Dir, "packages")
	}
	var tags []string // nil with an image.toml that tells none
	if b.config != nil {
		tags = append([]string{}, b.config.Tags()...)
		b.devices, errs[4] = hardware(b.Dir, b.config.Hardware)
	}
	b.want, errs[1] = config.Packages(list, tags)
	b.script, errs[5] = readSetup(b.Dir)
	version, err := os.ReadFile(filepath.Join(b.Dir, "VERSION"))
	b.version = strings.TrimSpace(string(version))
	if err == nil && (b.version == "" || strings.ContainsAny(b.version, " \t\n\"'")) {
		err = fmt.Errorf("VERSION: %q is no version", b.version)
	}
	errs[2] = err
	var notes []string
	if b.machine, notes, errs[3] = fromFstab(filepath.Join(b.Dir, "root")); errs[3] == nil {
		b.units, errs[3] = units(b.Dir, b.machine)
	}
	if b.Note != nil {
		for _, note := range notes {
			b.Note(note)
		}
	}
	return errors.Join(errs[:]...)
}

// fill lays everything that is not a package's.
func (b *builder) fill(l *layer, base *base, programs map[string]string) error {
	if err := l.devices(); err != nil {
		return err
	}
	if err := l.root(filepath.Join(b.Dir, "root")); err != nil {
		return err
	}
	if err := l.machine(b.machine); err != nil {
		return err
	}
	if err := l.programs(programs); err != nil {
		return err
	}
	if err := l.files(b.config.Files, b.Dir, base.owners(l)); err != nil {
		return err
	}
	if b.Login {
		if err := l.login(filepath.Join(b.Out, "ssh")); err != nil {
			return err
		}
	}
	if err := l.modes(); err != nil {
		return err
	}
	for _, note := range l.programsOf(b.units) {
		b.Note(note)
	}
	return l.identity(b, base)
}

// stopwatch notes how long each stage took.
type stopwatch struct {
	now  func() time.Time
	at   time.Time
	laps []lap
}

type lap struct {
	name string
	took time.Duration
}

func (s *stopwatch) lap(name string) {
	now := s.now()
	s.laps = append(s.laps, lap{name, now.Sub(s.at)})
	s.at = now
}
