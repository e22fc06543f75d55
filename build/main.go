// Build makes a bootable image from the folder it is called in, and boots it.
//
// See package image for what goes in and what comes out, and the file
// image.toml for what can be chosen. It needs a Go toolchain, no root, no
// chroot and no container.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"hoopy/build/debian"
	"hoopy/build/image"
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := Main(ctx, os.Args[1:], os.Stdout, os.Stderr)
	cancel()
	os.Exit(code)
}

const usage = `usage: build [command] [flags] [arguments]

makes a bootable kernel and initramfs of the folder it is called in (-C names
another), which holds image.toml, packages and root/. docs/build.md is a tour,
docs/image.md lists every key of image.toml.

commands:
  build            make out/vmlinuz and out/initramfs (the default)
  run              build with a key to log in, then boot the result under qemu
  check            read image.toml, packages and root/ and name every mistake
  new FOLDER       begin an image of your own, with this one as its pattern
  update           choose the packages anew, say what changes and why, write packages.lock
  why PACKAGE      say who needs a package (or so:LIBRARY, or cmd:COMMAND)
  inspect [IMAGE]  say what an initramfs holds (default: that of the out folder)
  diff A B         say what two images, or two out folders, have otherwise
  sbom             list packages and Go modules as SPDX 2.3, on standard output
  help             this text

flags:
`

// command is one word of the usage.
type command struct {
	// least and most count the arguments.
	least, most int
	run         func(ctx context.Context, c *call) error
}

var commands = map[string]command{
	"build":   {0, 0, build},
	"run":     {0, 0, buildAndRun},
	"check":   {0, 0, func(_ context.Context, c *call) error { return check(c.o.Dir, c.stdout) }},
	"new":     {1, 1, begin},
	"update":  {0, 0, update},
	"why":     {1, 1, why},
	"inspect": {0, 1, inspect},
	"diff":    {2, 2, diff},
	"sbom":    {0, 0, sbom},
}

// call is one call of the program.
type call struct {
	o      image.Options
	args   []string
	port   int
	dry    bool
	stdout io.Writer
}

// Main is the program: its exit status is 0, 1 when something is wrong with
// the image, 2 when the command line is.
func Main(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	name := "build"
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		name, args = args[0], args[1:]
	}
	c := &call{o: image.Options{Self: self()}, port: 2222, stdout: stdout}
	flags := c.flags(name)
	flags.SetOutput(stderr)
	cmd, known := commands[name]
	switch {
	case name == "help":
		flags.SetOutput(stdout)
		flags.Usage()
		return 0
	case !known:
		fmt.Fprintf(stderr, "error: no command %q\n", name)
		flags.Usage()
		return 2
	}
	for { // flags may stand before and after arguments
		if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
			return 0
		} else if err != nil {
			return 2
		}
		if flags.NArg() == 0 {
			break
		}
		c.args, args = append(c.args, flags.Arg(0)), flags.Args()[1:]
	}
	if n := len(c.args); n > cmd.most {
		fmt.Fprintf(stderr, "error: argument %q is not understood\n", c.args[cmd.most])
		return 2
	} else if n < cmd.least {
		fmt.Fprintf(stderr, "error: %s wants %d more; build help tells\n", name, cmd.least-n)
		return 2
	}
	if err := c.fill(); err != nil {
		fmt.Fprintf(stderr, "error: %v\n", err)
		return 2
	}
	s := &screen{w: stderr}
	if name == "build" || name == "run" {
		s.w = stdout
	}
	c.o.Note = s.note
	if terminal(s.w) {
		c.o.Progress = s.progress
	}
	err := cmd.run(ctx, c)
	s.clear()
	if err != nil {
		fmt.Fprintf(stderr, "error: %v\n", err)
		return 1
	}
	return 0
}

func (c *call) flags(name string) *flag.FlagSet {
	flags := flag.NewFlagSet("build", flag.ContinueOnError)
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), usage)
		flags.PrintDefaults()
	}
	o := &c.o
	flags.StringVar(&o.Dir, "C", ".", "the `folder` that describes the image")
	flags.StringVar(&o.Out, "out", "", "the `folder` for the result (default: out in the image's folder)")
	flags.StringVar(&o.Cache, "cache", "", "the `folder` for packages and parts (default: cache in the out folder)")
	flags.StringVar(&o.Packages, "packages", "", "use the list in this `file` (default: packages in the image's folder)")
	flags.BoolVar(&o.Release, "release", false, "compress as hard as possible: slower, a tenth smaller")
	flags.Func("repo", "use this `repository`, a folder or address, in place of Alpine's; may be repeated", add(&o.Repos))
	flags.Func("key", "trust this `file` with a public key, too; may be repeated", add(&o.Keys))
	flags.Func("only", "take these `names` (with commas) from a Debian stand-in, the rest from -repo or Alpine", func(s string) error {
		o.Only = append(o.Only, strings.Split(s, ",")...)
		return nil
	})
	if name == "run" || name == "help" {
		flags.IntVar(&c.port, "port", c.port, "run: the `port` of 127.0.0.1 that leads to the machine's sshd")
	}
	if name == "update" || name == "help" {
		flags.BoolVar(&c.dry, "n", false, "update: only say what would change")
	}
	return flags
}

// fill completes the options.
func (c *call) fill() error {
	o := &c.o
	if o.Out == "" {
		o.Out = filepath.Join(o.Dir, "out")
	}
	if o.Cache == "" {
		o.Cache = filepath.Join(o.Out, "cache")
	}
	o.StandIn = debian.StandIn
	if epoch := os.Getenv("SOURCE_DATE_EPOCH"); epoch != "" {
		var err error
		if o.Epoch, err = strconv.ParseInt(epoch, 10, 64); err != nil || o.Epoch < 0 {
			return fmt.Errorf("SOURCE_DATE_EPOCH: %q is no number of seconds", epoch)
		}
	}
	return nil
}

func build(ctx context.Context, c *call) error {
	r, err := image.Build(ctx, c.o)
	if err != nil {
		return err
	}
	fmt.Fprint(c.stdout, r.Report)
	return nil
}

func buildAndRun(ctx context.Context, c *call) error {
	c.o.Login = true
	r, err := image.Build(ctx, c.o)
	if err != nil {
		return err
	}
	fmt.Fprint(c.stdout, r.Report)
	return run(ctx, r, c.port, c.stdout)
}

func add(list *[]string) func(string) error {
	return func(s string) error {
		*list = append(*list, s)
		return nil
	}
}
