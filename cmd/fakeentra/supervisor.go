package main

import (
	"errors"
	"net"
	"os"
)

// tellSupervisor tells the service manager that started this process, if it wants
// to be told, that everything listens (sd_notify(3)).
func tellSupervisor() error {
	address := os.Getenv("NOTIFY_SOCKET")
	if address == "" {
		return nil
	}
	c, err := net.Dial("unixgram", address)
	if err != nil {
		return err
	}
	_, err = c.Write([]byte("READY=1"))
	return errors.Join(err, c.Close())
}
