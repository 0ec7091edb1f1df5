package main

import (
	"context"
	"errors"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/fakeentra/fakeentra"
	"github.com/fakeentra/fakeentra/emulator/control"
	"github.com/fakeentra/fakeentra/emulator/environment"
	"github.com/fakeentra/fakeentra/emulator/journal"
	"github.com/fakeentra/fakeentra/internal/sandbox"
)

// An attachment is what run is told about a cloud that is served.
type attachment struct{ to, host string }

func (a *attachment) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&a.to, "attach", "", "run the command in the cloud of a \"fakeentra serve\": its ready `FILE`, or the URL of its control plane")
}

// check refuses an empty name, and flags that only a cloud of one's own takes.
func (a *attachment) check(cmd *cobra.Command) error {
	if cmd.Flags().Changed("attach") && a.to == "" { // as by a variable that is not set
		return usage("name the file of \"fakeentra serve --ready-file\", or the URL of its control plane", "--attach names no cloud")
	}
	for _, flag := range []string{"scenario", "fresh-keys"} {
		if a.to != "" && cmd.Flags().Changed(flag) {
			return usage("pass it to \"fakeentra serve\"", "--%s is given, but the cloud of --attach has started already", flag)
		}
	}
	return nil
}

// An attached cloud is one of another process.
type attached struct {
	plane plane
	api   *control.Client
	info  control.Info // of the beginning
	ca    []byte
	host  hostVariables // that its ready file tells

	mu    sync.Mutex
	names []string // emulated host names that are known by now
	env   environment.Environment
	files string // folder of certificates, if there is one
}

// place finds the cloud and asks it what it is made of.
func (a attachment) place(ctx context.Context) (place, error) {
	s := &attached{plane: plane{url: a.to, timeout: 10 * time.Second}}
	if !strings.Contains(a.to, "://") {
		r, err := (&enver{readyFile: a.to}).ready()
		if err != nil {
			return place{}, err
		}
		s.host = r.hostVariables()
		if s.plane.url = r.Control; r.Control == "" {
			return place{}, failed("start \"fakeentra serve\" without --control \"\"", "the cloud of %s has no control plane, which --attach asks what there is", a.to)
		}
	}
	var err error
	if s.api, err = s.plane.client(); err != nil {
		return place{}, err
	}
	err = s.ask(ctx)
	if err == nil {
		err = s.move(ctx, a.host)
	}
	if err != nil {
		return place{}, s.plane.explain(err)
	}
	for _, name := range []string{"https", "imds", "proxy"} {
		if s.door(name) == "" {
			return place{}, failed(`start "fakeentra serve" without --`+name+` ""`, "the cloud at %s has no door %s, which --attach leads to", s.plane.url, name)
		}
	}
	if s.info.Host == "" {
		return place{}, failed("add one under hosts in its scenario, as in vm1: {source: imds}", "the cloud at %s has no host to run on", s.plane.url)
	}
	if a.host == "" && len(s.host) == 0 && !slices.Contains([]fakeentra.Source{fakeentra.IMDS, fakeentra.NoSource}, s.source()) {
		return place{}, failed("name its ready file instead, as in --attach up, or say --host "+s.info.Host, "the host %s of the cloud at %s has variables of its own, which the control plane does not tell", s.info.Host, s.plane.url)
	}
	variables, endpoints := s.host.inSandbox(s.door("imds"))
	return place{
		world:     sandbox.World{Knows: s.knows, Serve: s.serve, CA: s.ca, Metadata: s.source().HasMetadata(), Endpoints: endpoints},
		variables: func() ([]string, error) { return variables, nil },
		environ:   s.environ, temporary: s.temporary, journal: s.journal, close: s.close, shared: true,
		unheard: unheard(s.info.Host, s.source()),
	}, nil
}

// ask learns what the cloud is made of.
func (s *attached) ask(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, s.plane.timeout)
	defer cancel()
	if s.info, err = s.api.Info(ctx); err != nil {
		return err
	}
	s.names = s.info.Names
	s.env, _ = environment.Named(s.info.Environment)
	s.ca, err = s.api.CA(ctx)
	return err
}

// move makes the command run on a host, for which the cloud opens doors unless it
// has some.
func (s *attached) move(ctx context.Context, host string) error {
	if host == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.plane.timeout)
	defer cancel()
	other, err := s.api.OpenDoors(ctx, host)
	if err != nil {
		return err
	}
	s.info.Host, s.info.Doors, s.host = other.Host, other.Doors, other.Variables
	return nil
}

// source is that of the host.
func (s *attached) source() fakeentra.Source {
	i := slices.IndexFunc(s.info.Hosts, func(h control.Host) bool { return h.Name == s.info.Host })
	if i < 0 {
		return fakeentra.NoSource
	}
	return fakeentra.Source(s.info.Hosts[i].Source)
}

// knows asks again for names that it does not know: the cloud may have grown.
func (s *attached) knows(hostname string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.env.Regional(hostname) || slices.Contains(s.names, hostname) {
		return true
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.plane.timeout)
	defer cancel()
	info, err := s.api.Info(ctx)
	if err != nil {
		return false // and the command sees that the cloud is gone
	}
	s.names = info.Names
	return slices.Contains(s.names, hostname)
}

// serve hands connections to the doors of the cloud.
func (s *attached) serve(ctx context.Context, https, http net.Listener) error {
	var doors sync.WaitGroup
	for door, l := range map[string]net.Listener{"https": https, "imds": http} {
		doors.Go(func() { _ = relayTo(s.door(door))(ctx, l) })
	}
	doors.Wait()
	return nil
}

// door returns the address of a door, or nothing if it is shut. One that is open
// on all addresses is where the control plane is.
func (s *attached) door(name string) string {
	u, err := url.Parse(s.info.Doors[name])
	if err != nil || u.Host == "" {
		return ""
	}
	if ip := net.ParseIP(u.Hostname()); ip != nil && ip.IsUnspecified() {
		if plane, err := url.Parse(s.plane.url); err == nil {
			return net.JoinHostPort(plane.Hostname(), u.Port())
		}
	}
	return u.Host
}

// environ writes the certificates to a folder of this process, because that of
// the other one may be out of reach.
func (s *attached) environ() (_ []string, err error) {
	const hint = "set TMPDIR to one that can be written"
	if s.files, err = os.MkdirTemp("", "fakeentra-"); err != nil {
		return nil, failed(hint, "cannot make a temporary folder for the certificates: %v", err)
	}
	files, err := fakeentra.WriteCertificates(s.files, s.ca)
	if err != nil {
		return nil, failed(hint, "%v", err)
	}
	return append(fakeentra.Doors{Proxy: "http://" + s.door("proxy")}.Extend(os.Environ(), files), s.host...), nil
}

// journal returns what was asked of the host since the beginning. A cloud that
// was reset meanwhile numbers from 1 again.
func (s *attached) journal() (journal.Log, error) {
	ctx, cancel := context.WithTimeout(context.Background(), s.plane.timeout)
	defer cancel()
	filter := control.Filter{Host: s.info.Host, After: s.info.Requests}
	now, err := s.api.Info(ctx)
	if now.Requests < filter.After {
		filter.After = 0
	}
	var log journal.Log
	if err == nil {
		log, err = s.api.Journal(ctx, filter)
	}
	if err != nil {
		return log, errors.New(s.plane.explain(err).Error())
	}
	log.Dropped = journal.Dropped{} // by whom, nobody knows
	return log, nil
}

func (s *attached) temporary() []string {
	if s.files == "" {
		return nil
	}
	return []string{s.files}
}

func (s *attached) close() error {
	var errs []error
	for _, folder := range s.temporary() {
		errs = append(errs, os.RemoveAll(folder))
	}
	return errors.Join(errs...)
}
