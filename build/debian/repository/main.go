// Command repository makes the stand-in for an Alpine mirror: a repository in
// Alpine's format from Debian packages.
//
//	go run ./build/debian/repository -repo DIR [-only NAME,NAME] [NAME...]
//
// The names are those of an image's `packages` file; -only serves no other
// names than those listed (and what they depend on), so that real Alpine
// packages can be combined with Debian's kernel: -only linux-lts. The public
// key lies in DIR.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"

	"hoopy/build/debian"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	flags := flag.NewFlagSet("repository", flag.ExitOnError)
	repo := flags.String("repo", "out/stand-in", "`folder` of the repository")
	only := flags.String("only", "", "serve these `names` alone, separated by commas")
	cache := flags.String("cache", "", "`folder` of downloaded packages (default: the user's cache)")
	flags.Parse(os.Args[1:])
	names := flags.Args()
	if *only != "" {
		allowed := strings.Split(*only, ",")
		if len(names) == 0 {
			names = allowed
		}
		names = slices.DeleteFunc(names, func(n string) bool { return !slices.Contains(allowed, n) })
	}
	if len(names) == 0 {
		fmt.Fprintln(os.Stderr, "error: no package is named")
		os.Exit(2)
	}
	if err := debian.Repository(ctx, debian.Options{Dir: *repo, Names: names, CacheDir: *cache}); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
	fmt.Println("repository", *repo)
	fmt.Println("key       ", filepath.Join(*repo, debian.KeyName))
}
