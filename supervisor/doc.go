// Package supervisor decides: which unit starts, which stops, and when.
//
// # The core is pure
//
// State.Step takes one event and returns what is to be done about it. It makes
// no system call, reads no clock and starts no goroutine: the moment comes with
// the event, timers are actions, and a timer that was overtaken is known by its
// generation. So every rule here is tested in microseconds (step_test.go: all
// states × all events; model_test.go: random schedules against invariants).
//
// # Desired and current
//
// A unit has a desired state (Up) and a current one (unit.State). An event
// changes one node; then settle looks at that node and its neighbours until
// nothing changes any more:
//
//	               not up                        up
//	Inactive       stays                         (asked) → Waiting
//	Waiting        → Inactive                    edges met, and due → Starting
//	Starting       stop when those after it are  stop when a need is lost, else
//	Ready          stopped                       stays
//	Stopping       until nothing of it is left, then Inactive, Waiting, BackOff,
//	               Failed or Skipped
//	BackOff        → Inactive                    timer → Waiting
//	Failed         → Inactive                    stays until asked
//	Skipped        → Inactive                    stays until asked
//	Stuck          until its processes are gone
//
// # Runs and hooks
//
// A unit has one main run at most and beside it one hook at most, which is a run
// of its own (run.go, hooks.go). Up: start_pre, the command, start_post. Down:
// stop_pre, the signal, SIGKILL, and when nothing is left stop_post, once for
// each life that began. Every step is bounded; what survives SIGKILL makes the
// unit Stuck, and nothing is started beside it. A hook whose start never reached
// the keeper is started again by the next epoch: hooks run at least once.
//
// # Timers
//
// A timer is up and Waiting between its runs, and nobody waits for it; Due has it
// start like a task. It is never Ready, and never runs twice at once (timer.go).
//
// # Configuration
//
// A new one is read by a fresh epoch. The old one stops what is removed or
// changed (Retire), writes its snapshot and ends; the new one finds those units
// Waiting. Transient units come and go while the graph is in use (Add, Remove).
//
// # Edges
//
// needs: the other must be ready; when it is no longer, this one stops, stays
// up, and starts again after it. wants and after: the other is given its
// chance first; its failure is not ours. Stopping goes the reverse way along
// every edge. Essential units drop their edges after unit.EssentialDeadline
// and are never stopped by a lost need.
//
// # The end
//
// Everything stops in the reverse of the start. Links, mounts and pools wait for
// processes that no unit answers for, such as sessions, which are told to go when
// the services have; the persistence device stops last (end.go).
//
// # The loop
//
// Loop owns the State. Events are taken in batches; after each batch the state
// is written to a snapshot, then the actions are carried out. What dies between
// any two of these steps loses nothing: the keeper still has the exits that
// were not committed, and its table of runs wins over the snapshot.
//
// What it does not do: it knows no process, socket or file. Arms do.
package supervisor
