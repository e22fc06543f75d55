//go:build !linux

package image

import (
	"context"
	"errors"

	"hoopy/build/tree"
)

func chroot(context.Context, *tree.Tree, string, string) error {
	return errors.New(`setup = "chroot" needs Linux; without it the script is interpreted`)
}
