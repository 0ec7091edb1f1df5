//go:build unix && !linux

package sandbox

import "syscall"

// LimitsMemory says whether [Group] honours Command.MaxMemory here.
const LimitsMemory = false

func memoryOf(int) int64 { return 0 }

func (g group) wait() { _ = g.Cmd.Wait() } // its state says what is of interest

// sweep kills what is left of the group, whose programs nobody knows by name.
func (g group) sweep() []string {
	if syscall.Kill(-g.Process.Pid, syscall.SIGKILL) != nil {
		return nil // there is none
	}
	return []string{"some"}
}
