// Package browser looks at the page of reports as people do, in Chromium. It is a
// package of its own, so that nothing else compiles what drives a browser.
package browser

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/fakeentra/fakeentra/conformance/report"
	"github.com/fakeentra/fakeentra/conformance/suite"
	"github.com/fakeentra/fakeentra/internal/toolchain"
)

// patience is how long the browser has to do something.
const patience = time.Minute

// A screen is what a page is looked at on.
type screen struct {
	width int64
	dark  bool
}

var (
	desk  = screen{width: 1280}
	phone = screen{width: 360}
)

// A tab is a page in the browser.
type tab struct {
	*testing.T
	ctx  context.Context
	file string

	mu     sync.Mutex
	faults []string // what no page should do
}

// A browser is one for all tests.
var browser struct {
	sync.Once
	ctx   context.Context
	close context.CancelFunc
}

func TestMain(m *testing.M) {
	code := m.Run()
	if browser.close != nil {
		browser.close()
	}
	os.Exit(code)
}

// start starts the browser, unless it runs.
func start(t *testing.T) context.Context {
	t.Helper()
	path, err := exec.LookPath("google-chrome") // as runners of GitHub have it
	if err != nil {
		path = toolchain.Program(t, "chromium")
	}
	browser.Do(func() {
		folder, err := os.MkdirTemp("", "browser") // it leaves files in there
		if err != nil {
			t.Fatal(err)
		}
		options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
			chromedp.ExecPath(path),
			chromedp.NoSandbox, // which root cannot have
			chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND"),
			chromedp.Env("TMPDIR="+folder),
		)
		allocator, cancel := chromedp.NewExecAllocator(context.Background(), options...)
		ctx, stop := chromedp.NewContext(allocator)
		browser.ctx, browser.close = ctx, func() { stop(); cancel(); _ = os.RemoveAll(folder) }
		if err := chromedp.Do(ctx); err != nil {
			t.Fatal(err)
		}
	})
	return browser.ctx
}

// look opens the page of reports.
func look(t *testing.T, s screen, before []*suite.Report, reports ...*suite.Report) *tab {
	t.Helper()
	b := &tab{T: t, file: filepath.Join(t.TempDir(), "report.html")}
	f, err := os.Create(b.file)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(report.HTML(f, before, reports...), f.Close()); err != nil {
		t.Fatal(err)
	}
	ctx, end := chromedp.NewContext(start(t))
	ctx, cancel := context.WithTimeout(ctx, patience)
	b.ctx = ctx
	b.do() // makes the tab
	if err := chromedp.Listen(ctx, b.heard); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		b.settle()
		cancel()
		end()
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, fault := range b.faults {
			t.Error(fault)
		}
	})
	scheme := "light"
	if s.dark {
		scheme = "dark"
	}
	const height = 900
	call(b, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true}) // several tabs have it at once
	call(b, network.Enable, network.EnableParams{})
	call(b, log.Enable, cdp.Empty{})
	call(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: s.width, Height: height, DeviceScaleFactor: 1, Mobile: s.width < 700})
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
	b.do(chromedp.Navigate(b.url()), chromedp.WaitReady("footer kbd")) // the last that the page draws
	return b
}

func (b *tab) url() string { return (&url.URL{Scheme: "file", Path: b.file}).String() }

// heard notes errors, and requests for anything but the page itself.
func (b *tab) heard(event any) {
	fault := ""
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		fault = fmt.Sprintf("a script failed: %+v", e.ExceptionDetails)
	case *runtime.EventConsoleAPICalled:
		fault = fmt.Sprintf("the console has a line of the kind %s with %d arguments", e.Type, len(e.Args))
	case *log.EventEntryAdded:
		fault = fmt.Sprintf("the log has %s: %s", e.Entry.Level, e.Entry.Text)
	case *network.EventRequestWillBeSent:
		if e.Request.URL != b.url() && !strings.HasPrefix(e.Request.URL, "data:") {
			fault = "the page asked for " + e.Request.URL
		}
	}
	if fault != "" {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.faults = append(b.faults, fault)
	}
}

func (b *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	b.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		b.Fatalf("%v\n%s", err, strings.Join(b.faults, "\n"))
	}
}

// call gives the browser a command that chromedp has no action for.
func call[P, R any](b *tab, command cdp.Command[P, R], params P) R {
	b.Helper()
	got, err := chromedp.Call(b.ctx, command, params)
	if err != nil {
		b.Fatal(err)
	}
	return got
}

// evaluate runs JavaScript, waits for what it promises, and returns it as text.
func (b *tab) evaluate(script string) string {
	b.Helper()
	got, err := chromedp.Run(b.ctx, chromedp.Evaluate[string]("Promise.resolve((() => {"+script+"\n})()).then(String)", chromedp.EvalAwaitPromise))
	if err != nil {
		b.Fatalf("%s: %v\n%s", script, err, strings.Join(b.faults, "\n"))
	}
	return got
}

// settle waits until the page has done what it was about to.
func (b *tab) settle() {
	b.Helper()
	b.evaluate(`return new Promise((done) => setTimeout(() => setTimeout(done)))`)
}

// run runs JavaScript that changes the page.
func (b *tab) run(script string) {
	b.Helper()
	b.evaluate(script)
	b.settle()
}

// press presses keys.
func (b *tab) press(keys string) {
	b.Helper()
	b.do(chromedp.KeyEvent(keys))
	b.settle()
}

// wants compares what expressions of JavaScript come to.
func (b *tab) wants(expected ...string) {
	b.Helper()
	for i := 0; i < len(expected); i += 2 {
		if got := b.evaluate("return " + expected[i]); got != expected[i+1] {
			b.Errorf("%s\n is %q\nwant %q", expected[i], got, expected[i+1])
		}
	}
}

// open opens a cell, as a click does.
func (b *tab) open(client int, check string) {
	b.Helper()
	b.do(chromedp.Click(fmt.Sprintf(`[data-cell="%d/%s"]`, client, check)))
	b.settle()
}

// picture writes what is on the screen to a file where the variable names a folder,
// for people.
func (b *tab) picture(name string) {
	b.Helper()
	folder := os.Getenv("FAKEENTRA_PICTURES")
	if folder == "" {
		return
	}
	png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, name+".png"), png, 0o600); err != nil {
		b.Fatal(err)
	}
}
