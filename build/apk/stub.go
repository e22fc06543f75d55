package apk

import "errors"

type SolveOptions struct {
	Provides []string
	Newest   bool
}

func Solve(world []string, repos []*Repo, o SolveOptions) ([]*Package, error) {
	return nil, errors.ErrUnsupported
}
