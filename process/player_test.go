package process

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func init() { faces["play"] = play }

// play is a service that does one thing after the other, verb:argument each:
//
//	send:TEXT            a datagram
//	give:CONTENT:TEXT    a datagram with a memfd that has the content
//	pipe:TEXT            one with the read end of a pipe whose other end stays open here
//	shut                 closes that end
//	again                sends the last datagram with a descriptor once more
//	barrier              waits until everything before it was taken
//	burst:N              N datagrams STATUS=1 … STATUS=N
//	ping:MS:N            WATCHDOG=1, N times
//	fork:FILE            a child goes on with the rest, its pid in FILE ("": MAINPID=, "-": nowhere); the parent ends with 0
//	nanny                a child goes on with the rest; the parent says that it is the main process, and waits for it
//	main                 MAINPID= of its own
//	line:FD:TEXT         to a descriptor
//	listen               prints what LISTEN_FDS hands on
//	env:NAME             prints a variable
//	say:TEXT             prints
//	stay:STATUS          until SIGTERM, then ends with STATUS
//	exit:STATUS
func play(todo []string) {
	signal.Notify(terms, unix.SIGTERM)
	var sock, kept = -1, -1
	var last []byte
	lastFD := -1
	send := func(b []byte, fds ...int) {
		if sock < 0 {
			s, err := dial()
			check(err)
			sock = s
		}
		if len(fds) > 0 {
			last, lastFD = b, fds[0]
		}
		check(unix.Sendmsg(sock, b, unix.UnixRights(fds...), nil, 0))
	}
	for i, step := range todo {
		verb, arg, _ := strings.Cut(step, ":")
		first, rest, _ := strings.Cut(arg, ":")
		n, _ := strconv.Atoi(first)
		switch verb {
		case "send":
			send([]byte(arg))
		case "give":
			fd, err := unix.MemfdCreate("given", 0)
			check(err)
			_, err = unix.Write(fd, []byte(first))
			check(err)
			send([]byte(rest), fd)
		case "pipe":
			var p [2]int
			check(unix.Pipe2(p[:], unix.O_CLOEXEC))
			kept = p[1]
			send([]byte(arg), p[0])
			check(unix.Close(p[0]))
		case "shut":
			check(unix.Close(kept))
		case "again":
			send(last, lastFD)
		case "barrier":
			var p [2]int
			check(unix.Pipe2(p[:], unix.O_CLOEXEC))
			send([]byte("BARRIER=1"), p[1])
			check(unix.Close(p[1]))
			fds := []unix.PollFd{{Fd: int32(p[0])}}
			for {
				n, err := unix.Poll(fds, int(bound/time.Millisecond))
				if err == unix.EINTR {
					continue
				}
				if n != 1 {
					fmt.Println("the barrier does not open")
					os.Exit(98)
				}
				break
			}
		case "burst":
			for k := 1; k <= n; k++ {
				send([]byte("STATUS=" + strconv.Itoa(k)))
			}
		case "ping":
			times, _ := strconv.Atoi(rest)
			for range times {
				send([]byte("WATCHDOG=1"))
				time.Sleep(time.Duration(n) * time.Millisecond)
			}
		case "fork", "nanny":
			self, err := os.Executable()
			check(err)
			pid, err := syscall.ForkExec(self, append([]string{self, "play"}, todo[i+1:]...),
				&syscall.ProcAttr{Env: os.Environ(), Files: []uintptr{0, 1, 2}, Sys: &syscall.SysProcAttr{Setsid: true}})
			check(err)
			if verb == "nanny" {
				send([]byte("MAINPID=" + strconv.Itoa(pid)))
				for {
					if _, err := syscall.Wait4(pid, nil, 0, nil); err != syscall.EINTR {
						break
					}
				}
				untilTerm()
				os.Exit(0)
			}
			if verb == "fork" && arg == "" {
				send([]byte("MAINPID=" + strconv.Itoa(pid)))
			} else if filepath.IsAbs(arg) {
				new := filepath.Join(filepath.Dir(arg), ".new")
				check(os.WriteFile(new, []byte(strconv.Itoa(pid)+"\n"), 0o644))
				check(os.Rename(new, arg))
			}
			os.Exit(0)
		case "main":
			send([]byte("MAINPID=" + strconv.Itoa(os.Getpid())))
		case "line":
			_, err := unix.Write(n, []byte(rest))
			check(err)
		case "listen":
			count, _ := strconv.Atoi(os.Getenv("LISTEN_FDS"))
			fmt.Println("mine", os.Getenv("LISTEN_PID") == strconv.Itoa(os.Getpid()))
			for k, name := range strings.Split(os.Getenv("LISTEN_FDNAMES"), ":") {
				if k >= count {
					break
				}
				b := make([]byte, 100)
				n, _ := unix.Pread(3+k, b, 0)
				fmt.Printf("%s has %q\n", name, b[:max(n, 0)])
			}
			fmt.Println("listed", count)
		case "env":
			fmt.Println(arg, os.Getenv(arg))
		case "say":
			fmt.Println(arg)
		case "stay":
			untilTerm()
			os.Exit(n)
		case "exit":
			os.Exit(n)
		default:
			fmt.Println("no such verb:", step)
			os.Exit(97)
		}
	}
	os.Exit(0)
}

var terms = make(chan os.Signal, 1)

func check(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(99)
	}
}

func untilTerm() {
	select {
	case <-terms:
	case <-time.After(10 * bound):
		os.Exit(96)
	}
}
