// Command flood makes the kernel send uevents: `flood COUNT PROCESSES FILE...`
// writes "change" to files uevent of sysfs, in turn, as fast as it can and for no
// longer than 20 s. It prints how many there were, and how long that took.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

const longest = 20 * time.Second

func main() {
	if len(os.Args) < 4 {
		fmt.Fprintln(os.Stderr, "usage: flood COUNT PROCESSES FILE...")
		os.Exit(2)
	}
	count, err := strconv.Atoi(os.Args[1])
	processes, err2 := strconv.Atoi(os.Args[2])
	if err != nil || err2 != nil || processes < 0 {
		fmt.Fprintln(os.Stderr, "flood: no numbers:", os.Args[1:3])
		os.Exit(2)
	}
	if processes == 0 {
		fmt.Println(write(count, os.Args[3:]))
		return
	}
	began, total := time.Now(), 0
	var all []*exec.Cmd
	for range processes {
		c := exec.Command(os.Args[0], append([]string{strconv.Itoa(count / processes), "0"}, os.Args[3:]...)...)
		all = append(all, c)
	}
	said := make(chan int)
	for _, c := range all {
		go func() {
			n := 0
			if out, err := c.Output(); err == nil {
				_, _ = fmt.Sscan(string(out), &n) // 0: it did none
			}
			said <- n
		}()
	}
	for range all {
		total += <-said
	}
	fmt.Println(total, time.Since(began).Seconds())
}

// write gives the number of events. Files that take none, or have gone, count for
// nothing.
func write(count int, files []string) (n int) {
	var open []int
	for _, name := range files {
		if fd, err := syscall.Open(name, syscall.O_WRONLY|syscall.O_CLOEXEC, 0); err == nil {
			open = append(open, fd)
		}
	}
	end := time.Now().Add(longest)
	for i := 0; n < count && len(open) > 0 && time.Now().Before(end); i++ {
		if _, err := syscall.Pwrite(open[i%len(open)], []byte("change"), 0); err == nil {
			n++
		}
	}
	return n
}
