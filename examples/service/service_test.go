//go:build unix

// Package service tests the examples for service managers.
package service

import (
	"bufio"
	"context"
	"encoding/xml"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fakeentra/fakeentra/internal/exampletest"
	"github.com/fakeentra/fakeentra/internal/toolchain"
)

func TestMain(m *testing.M) {
	toolchain.Main(m, toolchain.Command("systemd-analyze", "systemd-analyze", "apt-get install systemd"))
}

// home makes a home folder with the program and a scenario file.
func home(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	scenario, err := os.ReadFile("../../fixtures/scenarios/msi-fic-blob.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, sub := range []string{"go/bin", ".config/fakeentra", "run/fakeentra"} {
		if err := os.MkdirAll(filepath.Join(folder, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(folder, ".config/fakeentra/scenario.yaml"), scenario, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(exampletest.Build(t, "cmd/fakeentra"), filepath.Join(folder, "go/bin/fakeentra")); err != nil {
		t.Fatal(err)
	}
	return folder
}

func TestSystemdTakesTheUnit(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "systemd-analyze", "--user", "verify", "--man=no", "./fakeentra.service")
	folder := home(t)
	cmd.Env = append(os.Environ(), "HOME="+folder, "XDG_RUNTIME_DIR="+filepath.Join(folder, "run"))
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v\n%s", err, out)
	}
}

// The command of the unit tells systemd when it is ready, goes on after what
// reload does, and ends well.
func TestTheCommandOfTheUnitIsReadyAndReloads(t *testing.T) {
	folder := home(t)
	command := strings.Fields(unitValue(t, "ExecStart"))
	runs(t, folder, command, strings.NewReplacer("%h", folder, "%t", filepath.Join(folder, "run")))
	if got := unitValue(t, "ExecReload"); got != "/bin/kill -HUP $MAINPID" {
		t.Errorf("ExecReload is %s", got)
	}
}

func TestTheCommandOfTheAgentIsReady(t *testing.T) {
	folder := home(t)
	runs(t, folder, agentCommand(t), strings.NewReplacer("/Users/you", folder))
}

func unitValue(t *testing.T, key string) string {
	t.Helper()
	unit, err := os.ReadFile("fakeentra.service")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^` + key + `=(.*)$`).FindSubmatch(unit)
	if m == nil {
		t.Fatalf("the unit has no %s", key)
	}
	return string(m[1])
}

// runs starts a command, with free ports, in a session without a terminal.
func runs(t *testing.T, folder string, command []string, paths *strings.Replacer) {
	t.Helper()
	ports := regexp.MustCompile(`^127\.0\.0\.1:\d+$`)
	for i, word := range command {
		command[i] = ports.ReplaceAllString(paths.Replace(word), "127.0.0.1:0")
	}
	toolchain.Heard(t, syscall.SIGHUP)
	told, address := notified(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env = append(os.Environ(), "HOME="+folder, "XDG_STATE_HOME=", "NOTIFY_SOCKET="+address)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if got := <-told; got != "READY=1" {
		t.Errorf("it tells the service manager %q", got)
	}
	up := command[slices.Index(command, "--ready-file")+1]
	if _, err := os.Stat(up); err != nil {
		t.Errorf("it is ready, and %v", err)
	}
	lines := bufio.NewScanner(stderr)
	signal(t, cmd, syscall.SIGHUP)
	if want := "fakeentra: loaded " + filepath.Join(folder, ".config/fakeentra/scenario.yaml") + " again"; !lines.Scan() || lines.Text() != want {
		t.Errorf("it says %q, want %q", lines.Text(), want)
	}
	signal(t, cmd, syscall.SIGTERM)
	if lines.Scan() {
		t.Errorf("at its end it says %q", lines.Text())
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
}

func signal(t *testing.T, cmd *exec.Cmd, s syscall.Signal) {
	t.Helper()
	if err := cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// notified listens as a service manager does, for a minute.
func notified(t *testing.T) (told chan string, address string) {
	t.Helper()
	address = filepath.Join(t.TempDir(), "notify")
	c, err := net.ListenPacket("unixgram", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	told = make(chan string, 1)
	go func() {
		message := make([]byte, 1<<10)
		n, _, err := c.ReadFrom(message)
		if err != nil {
			told <- err.Error()
			return
		}
		told <- string(message[:n])
	}()
	return told, address
}

// agentCommand reads a property list as far as one of launchd has to be.
func agentCommand(t *testing.T) []string {
	t.Helper()
	file, err := os.Open("com.github.fakeentra.plist")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	var list struct {
		Version string `xml:"version,attr"`
		Dict    struct {
			Keys     []string `xml:"key"`
			Labels   []string `xml:"string"`
			Commands []string `xml:"array>string"`
		} `xml:"dict"`
	}
	d := xml.NewDecoder(file)
	if err := d.Decode(&list); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) && err != nil {
		t.Errorf("after the list: %v", err)
	}
	if diff := cmp.Diff([]string{"Label", "ProgramArguments", "RunAtLoad", "KeepAlive", "StandardErrorPath", "Umask"}, list.Dict.Keys); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
	if list.Version != "1.0" || list.Dict.Labels[0] != "com.github.fakeentra" {
		t.Errorf("version %s of %s", list.Version, list.Dict.Labels[0])
	}
	return list.Dict.Commands
}
