package toolchain

import (
	"os"
	"os/signal"
	"testing"
)

// Heard has the programs that a test starts hear of signals, also where whoever started
// the tests has these ignored, as nohup(1) has SIGHUP: what is caught here is as usual
// in a program that is started.
func Heard(t *testing.T, signals ...os.Signal) {
	t.Helper()
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, signals...)
	t.Cleanup(func() { signal.Stop(caught) })
}
