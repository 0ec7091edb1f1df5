package browser

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/fakeentra/fakeentra/conformance/internal/trial"
	"github.com/fakeentra/fakeentra/conformance/reference"
	"github.com/fakeentra/fakeentra/conformance/suite"
)

// shown are the checks that the pages show.
var shown = []string{"IMDS-02", "IMDS-10", "AST-04", "AST-13", "SEC-03"}

var (
	mu   sync.Mutex
	runs = map[string]*suite.Report{}
)

// of returns a report on the reference client, or one with a bug, that the caller may
// change at the top.
func of(t *testing.T, bug string) *suite.Report {
	t.Helper()
	mu.Lock()
	defer mu.Unlock()
	if runs[bug] == nil {
		runs[bug] = trial.Run(t, reference.New(reference.FindBug(bug)), suite.Options{Checks: trial.Checks(t, shown...)})
	}
	r := *runs[bug]
	r.Results = slices.Clone(r.Results)
	r.Flags, r.Command = []string{"--image", "an image"}, []string{"node", "driver.mjs", "two words"}
	return &r
}

// The expressions of what is in sight.
const (
	rowsInSight = `[...document.querySelectorAll("tr.check")].filter((r) => r.checkVisibility()).map((r) => r.querySelector("code").textContent).join(" ")`
	focused     = `document.activeElement.dataset.cell || document.activeElement.id`
	title       = `document.querySelector("dialog[open] h1")?.textContent`
)

func cells(check string) string {
	return `[...document.querySelectorAll('[data-cell$="/` + check + `"]')].map((c) => c.textContent).join(", ")`
}

func TestClientsAreSideBySide(t *testing.T) {
	t.Parallel()
	b := look(t, desk, nil, of(t, ""), of(t, "AST-13"), of(t, "IMDS-10"))
	b.picture("matrix")
	b.wants(
		`[...document.querySelectorAll("#matrix thead th")].map((h) => h.textContent).join(", ")`, "Check, reference 1, reference with the bug AST-13 1, reference with the bug IMDS-10 1",
		rowsInSight, "IMDS-02 IMDS-10 AST-04 AST-13 SEC-03",
		`[...document.querySelectorAll("tr.area")].map((r) => r.innerText.replace(/\s+/g, " ").trim()).join(", ")`,
		"Requests to IMDS 2 of 2 2 of 2 1 of 2, The assertion at the token endpoint 2 of 2 1 of 2 2 of 2, Secrets 1 of 1 1 of 1 1 of 1",
		cells("AST-13"), "met, not met, met",
		cells("IMDS-10"), "met, met, not met",
		`[...document.querySelectorAll(".card")][1].querySelector(".legend").innerText.replace(/\s+/g, " ")`, "1 MUST not met 4 met",
	)
	b.run(`document.querySelectorAll(".legend button")[1].click()`)
	b.wants(rowsInSight, "AST-13", `document.getElementById("shown").textContent`, "1 of 5 checks")
}

// A report of another catalogue is shown as far as it says what its checks are.
func TestAReportOfAnotherCatalogueIsShown(t *testing.T) {
	t.Parallel()
	other := of(t, "AST-13")
	other.Suite.Digest = "older"
	other.Results[0].ID, other.Results[0].Title = "IMDS-99", "what was checked once"
	b := look(t, desk, nil, of(t, ""), other)
	b.open(1, "IMDS-99")
	b.wants(
		rowsInSight, "IMDS-02 IMDS-10 IMDS-99 AST-04 AST-13 SEC-03",
		title, "IMDS-99 what was checked once",
		`[...document.querySelectorAll(".card")].map((c) => [...c.querySelectorAll("p.faint")].filter((p) => p.textContent.startsWith("The catalogue")).map((p) => p.textContent).join()).join("|")`,
		"|The catalogue of checks was another one (older) than that of this page ("+suite.Digest()+"): what is required may have changed since.",
	)
}

func TestACellShowsWhatHappened(t *testing.T) {
	t.Parallel()
	b := look(t, desk, nil, of(t, ""), of(t, "AST-13"))
	b.open(1, "AST-13")
	b.picture("cell")
	b.wants(
		title, "AST-13 a redirect takes the assertion nowhere",
		`document.querySelector(".lead").innerText`, "MUST A redirect of the token endpoint to another host is not followed, or without the assertion.",
		`document.querySelector(".clients").innerText.replace(/\s+/g, " ")`, "reference 1 met reference with the bug AST-13 1 not met",
		`[...document.querySelectorAll(".case")].length`, "4",
		`[...document.querySelectorAll(".case[open] summary")].map((e) => e.innerText).join().replace(/ not met.*/, " not met")`, "307 Temporary Redirect to another host not met",
		`document.querySelector(".condition.unmet dl").innerText.replace(/\s+/g, " ").slice(0, 46)`, "Required no secret in a request for trap Seen ",
		`[...document.querySelectorAll("dt")].find((e) => e.textContent === "Alone").nextSibling.textContent`, "fakeentra conform run --only AST-13 --image 'an image' -- node driver.mjs 'two words'",
		`[...document.querySelector(".case[open] svg").querySelectorAll(":scope > text")].map((e) => e.textContent).join(", ")`, "Client, IMDS, Token service, A host outside",
		`[...document.querySelector(".case[open]").querySelectorAll("g.step")].map((e) => e.getAttribute("aria-label").replace(/\S*:\/\/([^\/]*)\S*/g, "$1")).join("; ")`,
		"Exchange 1: GET login.microsoftonline.com answered with 200; Exchange 2: GET 169.254.169.254 answered with 200, a token; "+
			"Exchange 3: POST login.microsoftonline.com answered with 307 to trap.test; Exchange 4: POST trap.test answered with 200, a token",
		`document.querySelector(".case[open] .fault").textContent.slice(-21)`, "(as the check has it)",
	)
	// A step of the diagram opens the exchange, with the tokens in it.
	b.run(`document.querySelector(".case[open]").querySelectorAll("g.step")[2].dispatchEvent(new MouseEvent("click", {bubbles: true}))`)
	b.picture("exchange")
	b.wants(
		`[...document.querySelectorAll(".exchange[open]")].map((e) => e.dataset.seq).join()`, "3",
		`document.activeElement.parentElement.dataset.seq`, "3",
		`document.querySelector(".exchange[open] .sides").innerText.match(/client_assertion=[^\n]*/)[0]`, "client_assertion=[redacted]",
		`JSON.parse(document.querySelector(".exchange[open] .claims").textContent).aud`, "fb60f99c-7a34-4190-8149-302f77469936",
		`document.querySelector(".exchange[open] h3.token").textContent.replace(/256 .*…/, "256")`, "Token in the request, SHA-256, issued by exchange 2",
		`document.querySelector(".exchange[open] p.faint").textContent.replaceAll(/\d/g, "0")`, "iat is 0000-00-00T00:00:00Z, nbf is 0000-00-00T00:00:00Z, exp is 0000-00-00T00:00:00Z",
	)
	b.press(kb.Escape)
	b.wants(title, "undefined", focused, "1/AST-13", `location.hash`, "")
}

func TestThePageIsUsedByKeys(t *testing.T) {
	t.Parallel()
	b := look(t, desk, nil, of(t, ""), of(t, "AST-13"))
	// As a keyboard does: what is prevented writes nothing.
	call(b, input.DispatchKeyEvent, input.DispatchKeyEventParams{Type: input.DispatchKeyEventTypeKeyDown, Key: "/", Code: "Slash", Text: "/", WindowsVirtualKeyCode: 191})
	b.wants(focused, "text")
	b.press("ast redirect")
	b.wants(rowsInSight, "AST-13", `document.getElementById("text").value`, "ast redirect")
	b.run(`document.getElementById("text").value = ""; document.getElementById("text").dispatchEvent(new Event("input")); document.querySelector("[data-cell]").focus()`)
	b.wants(rowsInSight, "IMDS-02 IMDS-10 AST-04 AST-13 SEC-03", focused, "0/IMDS-02")
	for _, step := range [][2]string{
		{kb.ArrowDown, "0/IMDS-10"}, {kb.ArrowDown, "0/AST-04"}, {kb.ArrowRight, "1/AST-04"}, {kb.ArrowRight, "1/AST-04"}, {kb.ArrowDown, "1/AST-13"}, {kb.ArrowLeft, "0/AST-13"}, {kb.ArrowUp, "0/AST-04"},
	} {
		b.press(step[0])
		b.wants(focused, step[1])
	}
	b.press(kb.Enter)
	b.wants(title, "AST-04 the token of the managed identity, as it is")
	b.press(kb.ArrowRight)
	b.wants(title, "AST-13 a redirect takes the assertion nowhere", `document.querySelector("[aria-label='Next check']").disabled`, "false")
	b.press(kb.ArrowRight)
	b.wants(title, "SEC-03 no secret is in an error", `document.querySelector("[aria-label='Next check']").disabled`, "true")
	b.press(kb.ArrowRight)
	b.press(kb.ArrowLeft)
	b.wants(title, "AST-13 a redirect takes the assertion nowhere")
	b.press(kb.Escape)
	b.wants(title, "undefined", focused, "0/AST-13")

	// What is filtered away is stepped over.
	b.run(`document.getElementById("show").value = "differs"; document.getElementById("show").dispatchEvent(new Event("input"))`)
	b.wants(rowsInSight, "AST-13")
	b.press(kb.ArrowDown)
	b.wants(focused, "0/AST-13")
}

func TestAnAddressOpensACell(t *testing.T) {
	t.Parallel()
	b := look(t, desk, nil, of(t, ""), of(t, "AST-13"))
	b.run(`location.hash = "1/AST-13"`)
	b.wants(title, "AST-13 a redirect takes the assertion nowhere", `document.querySelector("[aria-current]").textContent`, "reference with the bug AST-13 1")
	b.run(`document.querySelector(".clients a").click()`)
	b.wants(`document.querySelector("[aria-current]").textContent`, "reference 1")
	for _, wrong := range []string{"1/AST-99", "7/AST-13", "-1/AST-13", "%25", "#matrix"} {
		b.run(`location.hash = "` + wrong + `"`) // does nothing
	}
	b.settle()
}

func TestWhatChangedIsTold(t *testing.T) {
	t.Parallel()
	now, old := of(t, "AST-13"), of(t, "")
	old.Driver.Implementation.Name, old.Driver.Implementation.Version = now.Driver.Implementation.Name, "0.9"
	old.Started = time.Date(2026, 8, 12, 0, 0, 0, 0, time.UTC)
	old.Results[0].Verdict, old.Results[4].Verdict = suite.Fail, suite.Skip
	b := look(t, desk, []*suite.Report{old}, now, of(t, ""))
	b.picture("changes")
	b.wants(
		`document.querySelector("#changes h2").innerText`, "Since 2026-08-12: reference with the bug AST-13 0.9 → 1",
		`[...document.querySelectorAll("#changes b, #changes li")].map((e) => e.innerText.replace(/\s+/g, " ")).join("; ").replaceAll(" reference with the bug AST-13 1", "")`,
		"1 newly not met; AST-13 met → not met a redirect takes the assertion nowhere; "+
			"1 newly met; IMDS-02 not met → met the header Metadata: true; 1 changed otherwise; SEC-03 skipped → met no secret is in an error",
		`[...document.querySelectorAll(".changed")].map((e) => e.dataset.cell).join()`, "0/IMDS-02,0/AST-13,0/SEC-03",
	)
	b.run(`document.getElementById("show").value = "changed"; document.getElementById("show").dispatchEvent(new Event("input"))`)
	b.wants(rowsInSight, "IMDS-02 AST-13 SEC-03")
	b.do(chromedp.Click("#changes a"))
	b.settle()
	b.wants(title, "AST-13 a redirect takes the assertion nowhere")
}

func TestOneClientHasThePageForItself(t *testing.T) {
	t.Parallel()
	r := of(t, "AST-13")
	r.Stale, r.Incomplete = []string{"xfail.toml:4: it came to nothing"}, "it was interrupted"
	r.Standings = []suite.Standing{
		{Level: "core", Checks: 3}, {Level: "hardened", Checks: 3, Gaps: []string{"a", "b"}}, {Level: "complete", Checks: 3, Unmet: []string{"AST-13"}}, {Level: "resilient", Checks: 1, Gaps: []string{"a"}},
	}
	r.Results[1].Verdict, r.Results[1].Expected = suite.XFail, &suite.Expected{Where: "xfail.toml:9", Reason: "it is known", Issue: "https://example.com/1", Was: suite.Warn}
	b := look(t, desk, nil, r)
	b.picture("alone")
	b.wants(
		`document.title`, "reference with the bug AST-13 1: conformance",
		`document.querySelector(".levels").innerText.replace(/\s*\n\s*/g, "; ")`, "✓ core; hardened, with 2 known gaps; complete: 1 not met; resilient: not judged",
		`[...document.querySelectorAll(".trouble")].map((e) => e.innerText).join("; ")`, "Not all checks ran: it was interrupted; Expectation without effect: xfail.toml:4: it came to nothing",
		`document.querySelector(".card details").open`, "true",
		`document.querySelector(".card li").innerText.replace(/\s+/g, " ")`, "AST-13 not met a redirect takes the assertion nowhere MUST",
		`[...document.getElementById("show").options].map((o) => o.text).join(", ")`, "every verdict, not met somewhere, MUST not met somewhere, known gap somewhere, met somewhere",
	)
	b.open(0, "IMDS-10")
	b.wants(
		`[...document.querySelectorAll("dt")].find((e) => e.textContent === "Expected").nextSibling.innerText`, "not to be met: it is known (xfail.toml:9) https://example.com/1",
		`document.querySelector("dd a[href='https://example.com/1']").rel`, "noreferrer",
	)
}

func TestAReportOfNothingIsShown(t *testing.T) {
	t.Parallel()
	r := of(t, "")
	r.Results = nil
	b := look(t, desk, nil, r)
	b.wants(rowsInSight, "", `document.getElementById("shown").textContent`, "0 of 0 checks")
}

func TestThePageFitsItsScreen(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]screen{"desk": desk, "small phone": {width: 320}, "phone": phone, "phone in the dark": {360, true}, "desk in the dark": {1280, true}, "tablet": {width: 768}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			old := of(t, "")
			old.Results[0].Verdict = suite.Fail
			named := of(t, "IMDS-10")
			named.Driver.Implementation.Name = strings.Repeat("AnImplementationWithOneLongWord", 4)
			b := look(t, s, []*suite.Report{old}, of(t, ""), of(t, "AST-13"), named, of(t, "SEC-03"))
			fits := func() {
				t.Helper()
				b.wants(fmt.Sprintf("document.documentElement.scrollWidth <= %d", s.width), "true", // innerWidth of a phone grows with the page
					`[...document.querySelectorAll(".sheet, .card, #changes, .filters")].filter((e) => e.checkVisibility() && e.scrollWidth > e.clientWidth + 1).map((e) => e.className || e.id).join()`, "")
				b.wants(poorContrast, "")
			}
			fits()
			b.picture("top of " + name)
			b.run(`document.querySelector("tr.check").scrollIntoView()`)
			b.picture("matrix on " + name)
			b.open(1, "AST-13")
			b.run(`document.querySelectorAll(".sheet details").forEach((d) => { d.open = true; })`)
			fits()
			b.picture("cell on " + name)
			b.wants(`getComputedStyle(document.body).backgroundColor`, map[bool]string{false: "rgb(244, 246, 248)", true: "rgb(18, 23, 29)"}[s.dark])
		})
	}
}

// poorContrast lists texts that are harder to read than WCAG 2.2 (1.4.3) permits.
const poorContrast = `(() => {
	const rgb = (c) => (c.match(/[\d.]+/g) || [0, 0, 0, 0]).map(Number);
	const light = (c) => { const [r, g, b] = c.map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
	const ground = (e) => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if ((c[3] ?? 1) > 0.5) return c.slice(0, 3); } return [255, 255, 255]; };
	const bad = new Set();
	const scope = document.querySelector("dialog[open]") || document.body;
	for (const e of scope.querySelectorAll("*")) {
		if (!e.checkVisibility() || e.disabled || ![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim())) continue;
		const style = getComputedStyle(e);
		const [a, b] = [light(rgb(e.ownerSVGElement ? style.fill : style.color).slice(0, 3)), light(ground(e))];
		const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
		if (ratio < 4.5) bad.add(e.tagName + "." + (e.getAttribute("class") || "") + " " + ratio.toFixed(1));
	}
	return [...bad].join(", ");
})()`

// TestEverythingHasAName looks at the page as screen readers do.
func TestEverythingHasAName(t *testing.T) {
	t.Parallel()
	b := look(t, desk, nil, of(t, ""), of(t, "AST-13"))
	named := func(least int) {
		t.Helper()
		n := 0
		for _, node := range call(b, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{}).Nodes {
			if node.Ignored || node.Role == nil {
				continue
			}
			role := strings.Trim(string(node.Role.Value), `"`)
			if !slices.Contains([]string{"button", "link", "searchbox", "combobox", "dialog", "image", "img", "table", "group", "rowheader", "columnheader"}, role) {
				continue
			}
			n++
			if node.Name == nil || strings.Trim(string(node.Name.Value), `"`) == "" {
				if role != "group" { // of details, whose summary is its name
					t.Errorf("a %s has no name: node %s", role, node.NodeID)
				}
			}
		}
		if n < least {
			t.Errorf("there are %d named parts", n)
		}
	}
	named(30)
	b.wants(`document.querySelector('[data-cell="1/AST-13"]').ariaLabel`, "reference with the bug AST-13 1, AST-13: not met")
	b.open(1, "AST-13")
	named(15)
}

func TestWhatStrangersWroteIsInert(t *testing.T) {
	t.Parallel()
	const hostile = `</script><script>window.pwned = 1</script><img src=x onerror="window.pwned = 2"><a href="javascript:window.pwned = 3">x</a>{{script}}`
	r := of(t, "AST-13")
	i := &r.Driver.Implementation
	i.Name, i.Version, i.Runtime, i.Homepage, i.Issues = hostile, hostile, hostile, "javascript:window.pwned = 4", "javascript:window.pwned = 5"
	r.Driver.Dependencies = nil
	r.Seed, r.Wiring, r.Incomplete, r.Stale, r.Flags, r.Command = hostile, hostile, hostile, []string{hostile}, []string{hostile}, []string{hostile}
	for at := range r.Results {
		result := &r.Results[at]
		result.Why = hostile
		result.Expected = &suite.Expected{Where: hostile, Reason: hostile, Issue: "javascript:window.pwned = 6", Was: suite.Fail}
		result.Cases = slices.Clone(result.Cases)
		for k := range result.Cases {
			c := &result.Cases[k]
			c.Name, c.Why, c.Output = hostile, hostile, hostile
			c.Conditions = []suite.Condition{{ID: hostile, Expected: hostile, Actual: hostile}}
			c.Exchanges = slices.Clone(c.Exchanges)
			for j := range c.Exchanges {
				x := &c.Exchanges[j]
				x.Method, x.URL, x.Body, x.Answer, x.Fault = hostile, "javascript:window.pwned = 7", hostile, hostile, hostile
				x.Header = map[string][]string{hostile: {hostile}}
				x.Reply = map[string][]string{"Location": {hostile}}
				x.Claims = []suite.Claims{{Where: hostile, Token: hostile, Claims: map[string]any{hostile: hostile, "exp": 1e300, "iat": "x"}}}
			}
		}
	}
	b := look(t, desk, []*suite.Report{r}, r)
	for _, id := range shown {
		b.run(`location.hash = "0/` + id + `"`)
		b.run(`document.querySelectorAll("details").forEach((d) => { d.open = true; }); document.querySelectorAll("a[href^=javascript]").forEach((a) => a.click())`)
	}
	b.wants(
		`window.pwned`, "undefined",
		`document.querySelectorAll("script").length`, "2",
		`document.querySelectorAll("img, a[href^=javascript]").length`, "0",
		`document.querySelector("dialog[open] .condition dd").textContent`, hostile,
	)
}
