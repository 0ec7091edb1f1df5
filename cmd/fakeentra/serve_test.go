package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fakeentra/fakeentra/emulator/control"
)

// A served is a cloud that another process serves.
type served struct {
	ready
	process   *exec.Cmd
	stdout    *bufio.Scanner
	stderr    strings.Builder
	readyFile string
	folder    string // for temporary files
}

// startServe waits for the last line that is printed.
func startServe(t *testing.T, args ...string) *served {
	t.Helper()
	s := &served{readyFile: filepath.Join(t.TempDir(), "up"), folder: t.TempDir()}
	s.process = exec.CommandContext(t.Context(), "fakeentra", append([]string{"serve", "--ready-file", s.readyFile}, args...)...)
	s.process.Env = append(os.Environ(), "XDG_STATE_HOME="+t.TempDir(), "LocalAppData="+t.TempDir(), "TMPDIR="+s.folder, "TMP="+s.folder)
	s.process.Stderr = &s.stderr
	stdout, err := s.process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.stdout = bufio.NewScanner(stdout)
	if err := s.process.Start(); err != nil {
		t.Fatal(err)
	}
	for s.stdout.Scan() && !strings.HasPrefix(s.stdout.Text(), "export FAKEENTRA_CONTROL=") {
	}
	content, err := os.ReadFile(s.readyFile)
	if err != nil {
		t.Fatalf("%v; standard error:\n%s", err, s.stderr.String())
	}
	if err := json.Unmarshal(content, &s.ready); err != nil {
		t.Fatal(err)
	}
	return s
}

// direct returns a client that finds every name at the doors.
func (s *served) direct(t *testing.T) *http.Client {
	at := func(_ context.Context, network, address string) (net.Conn, error) {
		door := s.HTTPS
		if strings.HasPrefix(address, "169.254.169.254:") {
			door = s.IMDS
		}
		u, err := url.Parse(door)
		if err != nil {
			return nil, err
		}
		return net.Dial(network, u.Host)
	}
	return &http.Client{Timeout: deadline, Transport: &http.Transport{DialContext: at, TLSClientConfig: &tls.Config{RootCAs: trusting(t, s.CA)}}}
}

// proxied returns a client that asks the proxy for everything.
func (s *served) proxied(t *testing.T) *http.Client {
	proxy, err := url.Parse(s.Proxy)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Timeout: deadline, Transport: &http.Transport{Proxy: http.ProxyURL(proxy), TLSClientConfig: &tls.Config{RootCAs: trusting(t, s.Bundle)}}}
}

func TestServeAnswersAtEveryDoor(t *testing.T) {
	s := startServe(t)
	want := []string{"2026/q1.csv", "q1.csv", "q2.csv"}
	for name, hc := range map[string]*http.Client{"https and imds": s.direct(t), "proxy": s.proxied(t)} {
		got, err := listBlobs(hc)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: blobs (-want +got):\n%s", name, diff)
		}
	}
	if _, err := managedIdentityToken(&http.Client{Timeout: deadline}, s.IMDS); err != nil {
		t.Errorf("the managed identity endpoint, by the listener's own address: %v", err)
	}
	log, err := control.NewClient(s.Control, nil).Journal(t.Context(), control.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	if got := len(log.Entries); got != 7 {
		t.Errorf("the journal has %d entries, want 3 of each client and one more:\n%s", got, log)
	}
}

func TestServePrintsWhatTheReadyFileHolds(t *testing.T) {
	s := startServe(t, "--scenario", "two-identities")
	want := map[string]string{
		"HTTP_PROXY": s.Proxy, "HTTPS_PROXY": s.Proxy, "http_proxy": s.Proxy, "https_proxy": s.Proxy,
		"NO_PROXY": "localhost,127.0.0.1,::1", "no_proxy": "localhost,127.0.0.1,::1", "NODE_USE_ENV_PROXY": "1",
		"NODE_EXTRA_CA_CERTS": s.CA, "DENO_CERT": s.CA, "SSL_CERT_FILE": s.Bundle, "REQUESTS_CA_BUNDLE": s.Bundle, "CURL_CA_BUNDLE": s.Bundle,
		"FAKEENTRA_CONTROL": s.Control, "NODE_OPTIONS": "--require=" + s.NodeProxy,
		"JAVA_TOOL_OPTIONS": strings.NewReplacer("STORE", s.TrustStore, "PORT", s.Proxy[strings.LastIndexByte(s.Proxy, ':')+1:]).Replace(
			"-Djavax.net.ssl.trustStore=STORE -Djavax.net.ssl.trustStorePassword=changeit -Dhttp.nonProxyHosts=localhost|127.*" +
				" -Dhttp.proxyHost=127.0.0.1 -Dhttp.proxyPort=PORT -Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort=PORT"),
	}
	if diff := cmp.Diff(want, s.Environ); diff != "" {
		t.Errorf("environ (-want +got):\n%s", diff)
	}
	if s.Host != "vm1" || s.Scenario != "two-identities" {
		t.Errorf("host %q of %q, want vm1 of two-identities", s.Host, s.Scenario)
	}
}

func TestServeEndsCleanlyWhenItIsTerminated(t *testing.T) {
	for _, sig := range endingSignals() {
		t.Run(fmt.Sprint(sig), func(t *testing.T) {
			s := startServe(t)
			if _, err := listBlobs(s.proxied(t)); err != nil { // leaves connections open
				t.Fatal(err)
			}
			s.signal(t, sig)
			if s.stdout.Scan() {
				t.Errorf("it prints %q", s.stdout.Text())
			}
			if err := s.process.Wait(); err != nil || s.stderr.Len() > 0 {
				t.Errorf("%v; standard error:\n%s", err, s.stderr.String())
			}
			if _, err := os.Stat(s.readyFile); !os.IsNotExist(err) {
				t.Errorf("the ready file is still there: %v", err)
			}
			if left, err := os.ReadDir(s.folder); err != nil || len(left) > 0 {
				t.Errorf("temporary files are left: %v, %v", left, err)
			}
		})
	}
}

func TestWordsAreQuotedForAShell(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"http://127.0.0.1:80", "http://127.0.0.1:80"},
		{"", "''"},
		{"/tmp/my files/ca.pem", "'/tmp/my files/ca.pem'"},
		{"it's $HOME", `'it'\''s $HOME'`},
	} {
		if got := shellWord(c.in); got != c.want {
			t.Errorf("shellWord(%q) = %s, want %s", c.in, got, c.want)
		}
	}
}

// openRequest sends a request whose body is yet to come, and returns when it is
// being answered.
func openRequest(t *testing.T, door, target, host string) (net.Conn, *bufio.Reader) {
	t.Helper()
	u, err := url.Parse(door)
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(deadline)); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n", target, host); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(c)
	for _, want := range []string{"HTTP/1.1 100 Continue\r\n", "\r\n"} {
		if line, err := r.ReadString('\n'); line != want {
			t.Fatalf("the server says %q (%v), want %q", line, err, want)
		}
	}
	return c, r
}

// signal sends a signal to the server.
func (s *served) signal(t *testing.T, sig os.Signal) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no signals that one program sends to another")
	}
	if err := s.process.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

// terminate asks for the end, and returns when it is under way.
func (s *served) terminate(t *testing.T, door string) {
	t.Helper()
	s.signal(t, syscall.SIGTERM)
	for end := time.Now().Add(deadline); time.Now().Before(end); {
		if _, err := http.Get(door); errors.Is(err, syscall.ECONNREFUSED) {
			return
		}
	}
	t.Fatal("the door stays open")
}

func TestServeAnswersWhatIsInFlightBeforeItEnds(t *testing.T) {
	for name, open := range map[string]func(*served) (door, target, host string){
		"imds": func(s *served) (string, string, string) { return s.IMDS, "/metadata", "169.254.169.254" },
		"proxy": func(s *served) (string, string, string) {
			return s.Proxy, "http://169.254.169.254/metadata", "169.254.169.254"
		},
		"control": func(s *served) (string, string, string) { return s.Control, "/reset", "localhost" },
	} {
		t.Run(name, func(t *testing.T) {
			s := startServe(t)
			door, target, host := open(s)
			c, r := openRequest(t, door, target, host)
			s.terminate(t, door)
			if _, err := c.Write([]byte("{}")); err != nil {
				t.Fatal(err)
			}
			if line, err := r.ReadString('\n'); !strings.HasPrefix(line, "HTTP/1.1 ") {
				t.Errorf("the answer is %q (%v)", line, err)
			}
			if err := s.process.Wait(); err != nil {
				t.Errorf("%v; standard error:\n%s", err, s.stderr.String())
			}
		})
	}
}

func TestSecondSignalEndsServeAtOnce(t *testing.T) {
	s := startServe(t)
	openRequest(t, s.IMDS, "/metadata", "169.254.169.254") // is waited for, but not then
	s.terminate(t, s.IMDS)
	if err := s.process.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := s.process.Wait(); err == nil || !strings.Contains(err.Error(), "terminated") {
		t.Errorf("it ended with %v, want to be terminated", err)
	}
}
