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

const usage = `usage: build [command] [flags]

commands:
  build    make out/vmlinuz and out/initramfs (the default)
  run      build with a key to log in, then boot the result under qemu
  check    read image.toml, packages and root/ and name every mistake

flags:
`

// Main is the program: its exit status is 0, 1 when something is wrong with
// the image, 2 when the command line is.
func Main(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	command := "build"
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		command, args = args[0], args[1:]
	}
	o := image.Options{StandIn: debian.StandIn}
	flags := flag.NewFlagSet("build", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), usage)
		flags.PrintDefaults()
	}
	port := 2222
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
	if command == "run" {
		flags.IntVar(&port, "port", port, "the `port` of 127.0.0.1 that leads to the machine's sshd")
	}
	switch command {
	case "build", "run", "check":
	case "help":
		flags.SetOutput(stdout)
		flags.Usage()
		return 0
	default:
		fmt.Fprintf(stderr, "error: no command %q\n", command)
		flags.Usage()
		return 2
	}
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	if flags.NArg() > 0 {
		fmt.Fprintf(stderr, "error: argument %q is not understood\n", flags.Arg(0))
		return 2
	}
	if o.Out == "" {
		o.Out = filepath.Join(o.Dir, "out")
	}
	if o.Cache == "" {
		o.Cache = filepath.Join(o.Out, "cache")
	}
	if err := execute(ctx, command, o, port, stdout); err != nil {
		fmt.Fprintf(stderr, "error: %v\n", err)
		return 1
	}
	return 0
}

func execute(ctx context.Context, command string, o image.Options, port int, stdout io.Writer) error {
	if command == "check" {
		return check(o.Dir, stdout)
	}
	if epoch := os.Getenv("SOURCE_DATE_EPOCH"); epoch != "" {
		var err error
		if o.Epoch, err = strconv.ParseInt(epoch, 10, 64); err != nil || o.Epoch < 0 {
			return fmt.Errorf("SOURCE_DATE_EPOCH: %q is no number of seconds", epoch)
		}
	}
	o.Login = command == "run"
	o.Note = func(line string) { fmt.Fprintln(stdout, line) }
	r, err := image.Build(ctx, o)
	if err != nil {
		return err
	}
	fmt.Fprint(stdout, r.Report)
	if command == "run" {
		return run(ctx, r, port, stdout)
	}
	return nil
}

func add(list *[]string) func(string) error {
	return func(s string) error {
		*list = append(*list, s)
		return nil
	}
}
