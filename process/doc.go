// Package process is the arm of services and tasks: it starts processes through
// the keeper, watches them, and keeps what they say.
//
// The arm is the parent of nothing. A start is a cgroup leaf, an error pipe and
// a spec, handed to the keeper; what comes back is a pidfd, later an exit. So
// the arm may die at any moment: the next one takes over the runs that the
// keeper still knows (Adopt), and everything that must not be lost lies with the
// keeper: the pipes and rings of the logs, the sockets of the notifications,
// the exits that nobody has acknowledged.
//
// # One goroutine
//
// One goroutine owns all runs. It waits in epoll(7) for error pipes,
// cgroup.events and notify sockets; actions and the keeper's packets come
// through a queue. Another one reads all log pipes (package ring). Neither waits
// for a process.
//
// # What it leaves to others
//
// When to start, stop or kill, and how long to wait for it, is the supervisor's
// decision; the arm has no time-outs but the intervals of what it polls.
package process
