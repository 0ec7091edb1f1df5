package fakeentra

import "github.com/fakeentra/fakeentra/emulator/imds"

// A Machine is what the Instance Metadata Service tells of a virtual machine
// besides its name and its resource ID, and how strict it is.
type Machine = imds.Machine

// A Tag is a tag of a virtual machine.
type Tag = imds.Tag

// WithMachine says what the Instance Metadata Service tells of a host. It makes
// [Cloud.AddHost] panic when the description is wrong.
func WithMachine(m Machine) HostOption { return func(h *imds.Host) { h.Machine = m } }

// A ScheduledEvent is maintenance that a virtual machine is told of.
type ScheduledEvent = imds.ScheduledEvent

// An EventType is the impact that a scheduled event has.
type EventType = imds.EventType

// The types of scheduled events.
const (
	Freeze    = imds.Freeze    // the machine pauses for a few seconds
	Reboot    = imds.Reboot    // memory is lost
	Redeploy  = imds.Redeploy  // the machine moves; its temporary disk is lost
	Preempt   = imds.Preempt   // a Spot machine is deleted
	Terminate = imds.Terminate // the machine is deleted
)

// Schedule has the Instance Metadata Service tell of an event from now on, and
// returns the identifier of the event. The event starts and ends by the Cloud's
// clock. It panics when the type does not exist, or the identifier does.
func (h *Host) Schedule(e ScheduledEvent) string {
	id, err := h.cloud.imds.Schedule(h.name, e, h.cloud.Now())
	must(err)
	return id
}
