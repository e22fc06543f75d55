// Command player is the services of the machine that the tests of cmd/init boot.
package main

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/signal"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

func must(what string, err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, what+":", err)
		os.Exit(3)
	}
}

func main() {
	role, args := os.Args[1], os.Args[2:]
	switch role {
	case "steady":
		for {
			time.Sleep(time.Hour)
		}
	case "chatty":
		// 500 numbered lines a second, for ever.
		for i := 1; ; i++ {
			fmt.Printf("line %d of chatty\n", i)
			if i%5 == 0 {
				time.Sleep(10 * time.Millisecond)
			}
		}
	case "short":
		// Lives up to 30 ms, then exits with 0 or 7, which it has written down
		// before.
		time.Sleep(time.Duration(rand.IntN(30)) * time.Millisecond)
		status := rand.IntN(2) * 7
		must("write", os.WriteFile("/test/"+args[0]+".status", []byte(strconv.Itoa(status)), 0o644))
		os.Exit(status)
	case "notify":
		term := make(chan os.Signal, 1)
		signal.Notify(term, unix.SIGTERM)
		time.Sleep(time.Duration(rand.IntN(50)) * time.Millisecond)
		conn, err := net.Dial("unixgram", os.Getenv("NOTIFY_SOCKET"))
		must("notify", err)
		_, err = conn.Write([]byte("READY=1\nSTATUS=here"))
		must("notify", err)
		<-term
		os.Exit(0)
	}
	os.Exit(2)
}
