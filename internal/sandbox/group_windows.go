package sandbox

import (
	"os"
	"syscall"
)

// LimitsMemory says whether [Group] honours Command.MaxMemory here.
const LimitsMemory = false

func memoryOf(int) int64 { return 0 }

// ownGroup keeps what is typed from the command, such as Ctrl-C.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}

// signal ends the command: there is nothing milder that every program hears.
func (g group) signal(os.Signal) { _ = g.Process.Kill() }

func (g group) wait() { _ = g.Cmd.Wait() } // its state says what is of interest

func (g group) sweep() []string { return nil }
