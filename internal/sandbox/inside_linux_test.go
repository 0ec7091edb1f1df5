package sandbox

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// bare runs a command without a sandbox.
func bare(_ context.Context, _ World, c Command) (Result, error) {
	status, err := Run(c)
	return Result{Status: status}, err
}

// getMany asks from many threads at once.
func getMany(url string) (string, error) {
	const many = 100
	var group sync.WaitGroup
	var good atomic.Int32
	for i := range many {
		group.Go(func() {
			if text, err := get(fmt.Sprint(url, i)); err == nil && strings.HasSuffix(text, fmt.Sprint("/", i)) {
				good.Add(1)
			}
		})
	}
	group.Wait()
	return fmt.Sprintf("%d of %d", good.Load(), many), nil
}

// hear connects, and reads what it is told unasked. Whoever also wrote would learn of a
// reset in one of several ways, of whichever call came first.
func hear(address string) (string, error) {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return "", err
	}
	defer func() { _ = c.Close() }()
	text, err := io.ReadAll(c)
	return string(text), err
}

// reusePort finds a free port, closes it, and connects from it.
func reusePort(string) (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	if err := l.Close(); err != nil {
		return "", err
	}
	d := net.Dialer{LocalAddr: l.Addr()}
	c, err := d.Dial("tcp", "169.254.169.254:80")
	if err != nil {
		return "", err
	}
	return "connected", c.Close()
}

// sendDatagram sends from a socket that is not connected.
func sendDatagram(address string) (string, error) {
	c, err := net.ListenPacket("udp4", "")
	if err != nil {
		return "", err
	}
	defer func() { _ = c.Close() }()
	to, err := net.ResolveUDPAddr("udp4", address)
	if err != nil {
		return "", err
	}
	_, err = c.WriteTo([]byte("hello"), to)
	return "sent", err
}

// timeConnect returns how long a connection to an address takes, or to a
// listener of its own.
func timeConnect(address string) (string, error) {
	if address == "" {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return "", err
		}
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				_ = c.Close()
			}
		}()
		address = l.Addr().String()
	}
	const times = 1000
	all := make([]time.Duration, 0, times)
	for range times {
		start := time.Now()
		c, err := net.Dial("tcp", address)
		if err != nil {
			return "", err
		}
		all = append(all, time.Since(start))
		if err := c.Close(); err != nil {
			return "", err
		}
	}
	return median(all).String(), nil
}
