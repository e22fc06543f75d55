// Package keeper is PID 1 proper: the part of hoopy that must not fail.
package keeper
