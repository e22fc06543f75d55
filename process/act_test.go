package process

import (
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// act is a service of the tests: what a shell cannot do.
func act(what string, args []string) int {
	switch what {
	case "act:notify": // send each argument as a datagram, exit at once
		return notifyAll(args)
	case "act:notify-barrier": // notify, then wait until it was taken
		return notifyBarrier(args[0])
	case "act:notify-stay":
		if n := notifyAll(args); n != 0 {
			return n
		}
		wait()
	case "act:listen": // on a TCP port of 127.0.0.1
		port, _ := strconv.Atoi(args[0])
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err == nil {
			err = unix.Bind(fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}})
		}
		if err == nil {
			err = unix.Listen(fd, 1)
		}
		if err != nil {
			fmt.Println(err)
			return 1
		}
		wait()
	case "act:listen-unix": // on a path, given another name afterwards if there is one
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err == nil {
			err = unix.Bind(fd, &unix.SockaddrUnix{Name: args[0]})
		}
		if err == nil {
			err = unix.Listen(fd, 1)
		}
		if err == nil && len(args) > 1 {
			err = os.Rename(args[0], args[1])
		}
		if err != nil {
			fmt.Println(err)
			return 1
		}
		wait()
	case "act:count": // so many lines, in bursts
		most, _ := strconv.Atoi(args[0])
		for n := 1; n <= most; n++ {
			fmt.Println(n)
			if n%20 == 0 {
				time.Sleep(200 * time.Microsecond)
			}
		}
		return 7
	}
	return 0
}

func wait() {
	c := make(chan os.Signal, 1)
	signal.Notify(c, unix.SIGTERM)
	select {
	case <-c:
	case <-time.After(10 * bound):
	}
}

func notifyAll(texts []string) int {
	fd, err := dial()
	if err != nil {
		fmt.Println(err)
		return 1
	}
	for _, text := range texts {
		if _, err := unix.Write(fd, []byte(text)); err != nil {
			fmt.Println(err)
			return 1
		}
	}
	return 0
}

func dial() (int, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	return fd, unix.Connect(fd, &unix.SockaddrUnix{Name: os.Getenv("NOTIFY_SOCKET")})
}

func notifyBarrier(text string) int {
	fd, err := dial()
	if err != nil {
		fmt.Println(err)
		return 1
	}
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		return 1
	}
	unix.Write(fd, []byte(text))
	if err := unix.Sendmsg(fd, []byte("BARRIER=1"), unix.UnixRights(p[1]), nil, 0); err != nil {
		fmt.Println(err)
		return 1
	}
	unix.Close(p[1])
	fds := []unix.PollFd{{Fd: int32(p[0])}}
	for {
		n, err := unix.Poll(fds, int(bound/time.Millisecond))
		if err == unix.EINTR {
			continue
		}
		fmt.Println("barrier:", n == 1 && fds[0].Revents&unix.POLLHUP != 0)
		return 0
	}
}
