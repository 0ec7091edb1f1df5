package imds

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/fakeentra/fakeentra/internal/edge"
	"github.com/fakeentra/fakeentra/internal/ident"
)

// eventVersions are the versions of scheduled events (Microsoft: Scheduled
// Events for Linux VMs, Version and region availability), without the preview.
// Some are versions of this category alone.
var eventVersions = []string{"2017-08-01", "2017-11-01", "2019-01-01", "2019-04-01", "2019-08-01", "2020-07-01"}

// An EventType is the impact that a scheduled event has.
type EventType string

// The types of scheduled events.
const (
	Freeze    EventType = "Freeze"    // the machine pauses for a few seconds
	Reboot    EventType = "Reboot"    // memory is lost
	Redeploy  EventType = "Redeploy"  // the machine moves; its temporary disk is lost
	Preempt   EventType = "Preempt"   // a Spot machine is deleted
	Terminate EventType = "Terminate" // the machine is deleted
)

// eventTypes are the types, the notice that each is given at least (the page,
// section Event scheduling; for Terminate it is what users choose at least) and
// the version that introduced it.
var eventTypes = map[EventType]struct {
	notice time.Duration
	since  string
}{
	Freeze:    {15 * time.Minute, ""},
	Reboot:    {15 * time.Minute, ""},
	Redeploy:  {10 * time.Minute, ""},
	Preempt:   {30 * time.Second, "2017-11-01"},
	Terminate: {5 * time.Minute, "2019-01-01"},
}

// impact is how long an event stays in the list once it has started: the page's
// rough guideline.
const impact = 10 * time.Minute

// A ScheduledEvent is maintenance that a virtual machine is told of. It starts
// when it is approved or when its time has come, whichever is first, and is gone
// ten minutes later, all by the cloud's clock.
type ScheduledEvent struct {
	ID          string // a GUID; derived if empty
	Type        EventType
	NotBefore   time.Time // when it starts unless approved; after the documented notice if zero
	Description string
	Source      string   // Platform if empty, or User
	Resources   []string // names of the machines; the host's if empty
	// DurationInSeconds is how long the interruption is expected to be: 0 for
	// none, -1 if that is not known.
	DurationInSeconds int
}

// A calendar holds the events of all hosts.
type calendar struct {
	mu     sync.Mutex
	events map[string][]*appointment
}

// An appointment is an event and when things happen to it.
type appointment struct {
	ScheduledEvent
	armed, approved time.Time
}

// starts returns when the event starts, as far as is known.
func (a *appointment) starts() time.Time {
	if !a.approved.IsZero() && a.approved.Before(a.NotBefore) {
		return a.approved
	}
	return a.NotBefore
}

// changes counts what has happened to the event by now: it was scheduled,
// started, and ended.
func (a *appointment) changes(now time.Time) int {
	n := 0
	for _, at := range []time.Time{a.armed, a.starts(), a.starts().Add(impact)} {
		if !now.Before(at) {
			n++
		}
	}
	return n
}

// Schedule tells a host, at a time, that an event will come, and returns the
// identifier of the event. It fails when there is no such host or type, and when
// an identifier is in use or is none.
func (s *Service) Schedule(host string, e ScheduledEvent, now time.Time) (string, error) {
	if _, ok := s.Host(host); !ok {
		return "", fmt.Errorf("there is no host %q to schedule an event for", host)
	}
	kind, ok := eventTypes[e.Type]
	if !ok {
		return "", fmt.Errorf("host %q: there is no type of scheduled events %q; expected Freeze, Reboot, Redeploy, Preempt or Terminate", host, e.Type)
	}
	s.calendar.mu.Lock()
	defer s.calendar.mu.Unlock()
	all := s.calendar.events[host]
	e.complete(host, now.Add(kind.notice), len(all))
	if !ident.IsGUID(e.ID) || slices.ContainsFunc(all, func(a *appointment) bool { return strings.EqualFold(a.ID, e.ID) }) {
		return "", fmt.Errorf("host %q: the scheduled event %q; expected a GUID that no other event has", host, e.ID)
	}
	s.calendar.events[host] = append(all, &appointment{ScheduledEvent: e, armed: now})
	return e.ID, nil
}

// complete fills in what was left open. Identifiers are in capitals in the
// page's samples.
func (e *ScheduledEvent) complete(host string, start time.Time, number int) {
	if e.ID == "" {
		e.ID = strings.ToUpper(ident.GUID("scheduled-event", host, strconv.Itoa(number)))
	}
	if e.NotBefore.IsZero() {
		e.NotBefore = start
	}
	if e.Source == "" {
		e.Source = "Platform"
	}
	if len(e.Resources) == 0 {
		e.Resources = []string{host}
	}
}

// document renders the events of a host at now. Members are in the order of the
// page's examples. The incarnation counts the changes there have been.
func (c *calendar) document(host string, now time.Time, version string) object {
	c.mu.Lock()
	defer c.mu.Unlock()
	incarnation, events := 1, list{}
	for _, a := range c.events[host] {
		n := a.changes(now)
		incarnation += n
		if (n == 1 || n == 2) && eventTypes[a.Type].since <= version {
			events = append(events, a.document(n == 2))
		}
	}
	return object{{"DocumentIncarnation", "", incarnation}, {"Events", "", events}}
}

func (a *appointment) document(started bool) object {
	status, notBefore := "Scheduled", a.NotBefore.UTC().Format(http.TimeFormat)
	if started {
		status, notBefore = "Started", ""
	}
	resources := list{}
	for _, name := range a.Resources {
		resources = append(resources, name)
	}
	return object{
		{"EventId", "", a.ID},
		{"EventStatus", "", status},
		{"EventType", "", string(a.Type)},
		{"ResourceType", "", "VirtualMachine"},
		{"Resources", "", resources},
		{"NotBefore", "", notBefore},
		{"Description", "2019-04-01", a.Description},
		{"EventSource", "2019-08-01", a.Source},
		{"DurationInSeconds", "2020-07-01", a.DurationInSeconds},
	}
}

// approve starts events, all of them or none, and returns the identifier that
// stands for no event that is scheduled or under way.
func (c *calendar) approve(host string, ids []string, now time.Time) (stranger string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var found []*appointment
	for _, id := range ids {
		i := slices.IndexFunc(c.events[host], func(a *appointment) bool { return strings.EqualFold(a.ID, id) && a.changes(now) < 3 })
		if i < 0 {
			return id
		}
		found = append(found, c.events[host][i])
	}
	for _, a := range found {
		if a.approved.IsZero() {
			a.approved = now
		}
	}
	return ""
}

func (c *calendar) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.events = map[string][]*appointment{}
}

// scheduledEvents lists the events of the host. That the first answer takes up
// to two minutes, and that nothing is listed until events were asked for, is not
// emulated.
func (s *Service) scheduledEvents(r *edge.Request) (edge.Response, *refusal) {
	query, no := versioned(r, eventVersions)
	if no != nil {
		return edge.Response{}, no
	}
	version := query.Get("api-version")
	return answerJSON(r, appendJSON(nil, s.calendar.document(r.Caller.Host, r.Now, version), version)), nil
}

// startEvents approves events. The page says nothing of the body of the answer,
// so it is empty.
func (s *Service) startEvents(r *edge.Request) (edge.Response, *refusal) {
	if _, no := versioned(r, eventVersions); no != nil {
		return edge.Response{}, no
	}
	ids, no := startRequests(r.Data)
	if no != nil {
		return edge.Response{}, no
	}
	r.Note("events", strings.Join(ids, ","))
	if stranger := s.calendar.approve(r.Caller.Host, ids, r.Now); stranger != "" {
		return edge.Response{}, because("event-unknown", "%s has no event %q that is scheduled or has started; nothing was approved", r.Caller.Host, stranger)
	}
	resp := answerJSON(r, nil)
	resp.Header.Del("Content-Type")
	return resp, nil
}

// startRequests reads the identifiers in the body of a POST.
func startRequests(body []byte) ([]string, *refusal) {
	var in struct {
		StartRequests []struct {
			EventID string `json:"EventId"`
		}
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, because("start-requests", `the body is not what it should be (%v); expected {"StartRequests":[{"EventId":"..."}]}`, err)
	}
	var ids []string
	for _, e := range in.StartRequests {
		ids = append(ids, e.EventID)
	}
	if len(ids) == 0 || slices.Contains(ids, "") {
		return nil, because("start-requests", `the body names no event, or one without an EventId; expected {"StartRequests":[{"EventId":"..."}]}`)
	}
	return ids, nil
}
