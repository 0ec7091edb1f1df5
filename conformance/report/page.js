
"use strict";

// The data is compressed: reports of many clients are large, and much alike.
async function unpacked() {
  const packed = Uint8Array.from(atob(document.getElementById("data").textContent.trim()), (c) => c.charCodeAt(0));
  return new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))).json();
}

// Text becomes text nodes, whatever it says: reports quote what strangers wrote.
function el(name, attributes = {}, ...children) {
  const e = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) e.addEventListener(key.slice(2), value);
    else if (value !== undefined && value !== null && value !== false) e.setAttribute(key, value === true ? "" : value);
  }
  e.append(...children.flat().filter((c) => c !== undefined && c !== null && c !== ""));
  return e;
}
const link = (text) => (/^https?:\/\//.test(text) ? el("a", { href: text, rel: "noreferrer" }, text) : text);
const joined = (parts, between) => parts.flatMap((p, i) => (i ? [between, p] : [p]));
const many = (n, one, more = `${one}s`) => `${n} ${n === 1 ? one : more}`;

const order = ["fail", "error", "timeout", "inconclusive", "xpass", "warn", "info", "xfail", "skip", "pass"];
const words = { pass: "met", fail: "not met", warn: "not met", info: "not met", skip: "skipped", xfail: "known gap", xpass: "met after all", inconclusive: "inconclusive", error: "error", timeout: "timed out" };
const legend = { fail: "MUST not met", warn: "SHOULD not met", info: "MAY not met" };
const plural = { xfail: "known gaps", error: "errors" };
const meaning = {
  skip: "the client cannot do what the check is about", xfail: "not met, as is expected of this client", xpass: "met, though it was expected not to be",
  inconclusive: "the client never came to what the check provokes, or had several verdicts", error: "the driver crashed or broke the protocol", timeout: "the driver did not answer in time",
};
const isUnmet = (v) => !["pass", "skip", "xfail"].includes(v);
const badge = (v) => el("span", { class: `badge v-${v}`, title: meaning[v] }, words[v] || v);

function show({ reports, checks, areas, before = [], digest }) {
  for (const r of [...reports, ...before]) r.results ||= []; // of a run that was interrupted
  const byID = (r) => new Map(r.results.map((x) => [x.id, x]));
  const named = (r) => [r.driver.implementation.name, r.driver.implementation.version].filter(Boolean).join(" ");
  const results = reports.map(byID);
  const sameClient = (a, b) => a.driver.implementation.name === b.driver.implementation.name && a.driver.implementation.language === b.driver.implementation.language;
  const earlier = reports.map((r) => before.find((b) => sameClient(b, r)));
  const was = earlier.map((b) => (b ? byID(b) : new Map()));
  const areaOf = (id) => id.split("-")[0];
  const byCheck = new Map(checks.map((c) => [c.ID, c]));
  const moved = (i, id) => was[i].has(id) && was[i].get(id).verdict !== results[i].get(id)?.verdict;
  const $ = (id) => document.getElementById(id);

  if (reports.length === 1) {
    document.title = `${named(reports[0])}: conformance`;
    document.querySelector("h1").textContent = `Conformance of ${named(reports[0])}`;
  }
  document.body.classList.toggle("many", reports.length > 5);
  document.body.classList.toggle("alone", reports.length === 1);

  // Clients.

  function standing(s) {
    const gaps = (s.gaps || []).length, unmet = (s.unmet || []).length, reached = !unmet && s.checks > gaps;
    const text = !reached ? (unmet ? `${s.level}: ${unmet} not met` : `${s.level}: not judged`) : gaps ? `${s.level}, with ${many(gaps, "known gap")}` : s.level;
    return el("span", { class: `chip ${reached ? (gaps ? "v-warn" : "v-pass") : unmet ? "v-fail" : ""}`, title: [...(s.unmet || []), ...(s.gaps || [])].join(", ") }, `${reached && !gaps ? "✓ " : ""}${text}`);
  }

  function card(r, i) {
    const n = {};
    for (const x of r.results) n[x.verdict] = (n[x.verdict] || 0) + 1;
    const present = order.filter((v) => n[v]);
    const impl = r.driver.implementation;
    const unmet = order.filter(isUnmet).flatMap((v) => r.results.filter((x) => x.verdict === v));
    const filter = (v) => { $("show").value = `v-${v}`; update(); $("show").scrollIntoView({ block: "nearest" }); };
    return el("section", { class: "card", "aria-label": named(r) },
      el("h2", {}, named(r)),
      el("p", { class: "faint" }, [impl.language, impl.runtime].filter(Boolean).join(", "), ` · ${many(r.results.length, "check")} in ${(r.took_ms / 1000).toFixed(1)} s · ${r.wiring}${r.uncovered ? `, which cannot have ${r.uncovered.length} of them` : ""}${r.shard ? ` · shard ${r.shard}` : ""}`),
      el("div", { class: "bar", role: "img", "aria-label": present.map((v) => `${n[v]} ${v}`).join(", ") }, present.map((v) => el("span", { class: `v-${v}`, style: `flex:${n[v]}` }))),
      el("div", { class: "legend" }, present.map((v) => el("button", { onclick: () => filter(v), title: "show these alone" }, el("span", { class: `dot v-${v}` }), `${n[v]} ${legend[v] || n[v] > 1 && plural[v] || words[v]}`))),
      (r.standings || []).length ? el("div", { class: "levels", "aria-label": "Levels" }, r.standings.map(standing)) : null,
      r.suite.digest !== digest ? el("p", { class: "faint" }, `The catalogue of checks was another one (${r.suite.digest}) than that of this page (${digest}): what is required may have changed since.`) : null,
      r.incomplete ? el("p", { class: "trouble" }, `Not all checks ran: ${r.incomplete}`) : null,
      (r.stale || []).map((s) => el("p", { class: "trouble" }, `Expectation without effect: ${s}`)),
      unmet.length ? el("details", { open: reports.length === 1 && unmet.length <= 40 }, el("summary", {}, `What is not met (${unmet.length})`),
        el("ul", { class: "links" }, unmet.map((x) => el("li", {}, el("a", { href: `#${i}/${x.id}` }, x.id), " ", badge(x.verdict), " ", x.title, " ", el("span", { class: "level" }, x.level))))) : null,
      el("details", {}, el("summary", {}, "What it was built with"),
        el("p", {}, (r.driver.dependencies || []).map((d) => `${d.name} ${d.version}`).join(", ") || "It names no dependencies."),
        impl.homepage ? el("p", {}, link(impl.homepage)) : null));
  }
  $("cards").append(...reports.map(card));

  // What changed, the worst first.

  function changes() {
    const all = [];
    reports.forEach((r, i) => {
      for (const c of checks) {
        if (!moved(i, c.ID)) continue;
        const from = was[i].get(c.ID).verdict, to = results[i].get(c.ID)?.verdict;
        if (to) all.push({ i, c, from, to, rank: isUnmet(to) && !isUnmet(from) ? 0 : to === "pass" && from !== "skip" ? 1 : 2 });
      }
    });
    const dates = earlier.filter(Boolean).map((b) => b.started.slice(0, 10));
    if (!dates.length) return;
    const item = (x) => el("li", {}, el("a", { href: `#${x.i}/${x.c.ID}` }, x.c.ID), reports.length > 1 ? ` ${named(reports[x.i])}` : "", " ", badge(x.from), " → ", badge(x.to), " ", x.c.Title);
    const groups = ["newly not met", "newly met", "changed otherwise"].map((title, rank) => [title, all.filter((x) => x.rank === rank)]).filter(([, list]) => list.length);
    const versions = reports.map((r, i) => (earlier[i] && named(earlier[i]) !== named(r) ? `${named(earlier[i])} → ${r.driver.implementation.version}` : "")).filter(Boolean);
    const other = earlier.some((b, i) => b && b.suite.digest !== reports[i].suite.digest);
    $("changes").append(el("h2", { id: "changes-title" }, `Since ${[...new Set(dates)].join(", ")}${versions.length ? `: ${versions.join(", ")}` : ""}`),
      ...(other ? [el("p", { class: "faint" }, "The catalogue of checks was another one: some verdicts may differ for that.")] : []),
      ...(groups.length ? groups.flatMap(([title, list]) => [el("p", {}, el("b", {}, `${list.length} ${title}`)), el("ul", { class: "links" }, list.map(item))]) : [el("p", {}, "No verdict changed.")]));
    $("changes").hidden = false;
  }
  changes();

  // The table.

  for (const v of order.filter((v) => results.some((r) => [...r.values()].some((x) => x.verdict === v)))) {
    $("show").append(el("option", { value: `v-${v}` }, `${legend[v] || words[v]} somewhere`));
  }
  if (!earlier.some(Boolean)) $("show").querySelector("[value=changed]").remove();
  if (reports.length < 2) $("show").querySelector("[value=differs]").remove();

  document.querySelector("#matrix thead").append(el("tr", {}, el("th", { scope: "col" }, "Check"), reports.map((r) => el("th", { scope: "col", class: "client", title: named(r) }, el("span", {}, named(r))))));

  function cell(i, id) {
    const got = results[i].get(id);
    if (!got) return el("td", { class: "cell none" }, "–");
    const from = moved(i, id) ? was[i].get(id).verdict : "";
    return el("td", { class: "cell" }, el("button", {
      class: `verdict v-${got.verdict}${from ? " changed" : ""}`, "data-cell": `${i}/${id}`, title: from ? `was ${words[from]}` : got.why || "",
      "aria-label": `${named(reports[i])}, ${id}: ${words[got.verdict] || got.verdict}${from ? `, was ${words[from]}` : ""}`, onclick: () => { location.hash = `${i}/${id}`; },
    }, words[got.verdict] || got.verdict));
  }

  const body = document.querySelector("#matrix tbody");
  const rows = [], headings = new Map();
  for (const c of checks) {
    const area = areaOf(c.ID);
    if (!headings.has(area)) {
      const tally = (r) => {
        const all = [...r.values()].filter((x) => areaOf(x.id) === area && x.verdict !== "skip");
        return all.length ? `${all.filter((x) => x.verdict === "pass").length} of ${all.length}` : "–";
      };
      const heading = el("tr", { class: "area" }, el("th", { scope: "rowgroup" }, areas[area] || area), results.map((r) => el("td", {}, tally(r))));
      headings.set(area, heading);
      body.append(heading);
    }
    const row = el("tr", { class: "check" }, el("th", { scope: "row" }, el("div", { class: "row" }, el("code", {}, c.ID), el("span", { class: "title" }, c.Title, " ", el("span", { class: "level" }, c.Level)))), reports.map((r, i) => cell(i, c.ID)));
    rows.push({ c, row, area, text: `${c.ID} ${c.Title} ${c.Requirement} ${c.Tags.join(" ")}`.toLowerCase(), verdicts: results.map((r) => r.get(c.ID)?.verdict).filter(Boolean) });
    body.append(row);
  }

  function wanted({ c, text, verdicts }, words, level, what) {
    if (level && c.Level !== level || !words.every((w) => text.includes(w))) return false;
    switch (what) {
      case "": return true;
      case "unmet": return verdicts.some(isUnmet);
      case "differs": return new Set(verdicts).size > 1;
      case "changed": return reports.some((r, i) => moved(i, c.ID));
    }
    return verdicts.includes(what.slice(2));
  }

  function update() {
    const words = $("text").value.trim().toLowerCase().split(/\s+/), level = $("level").value, what = $("show").value;
    const there = new Set();
    for (const r of rows) {
      r.row.hidden = !wanted(r, words, level, what);
      if (!r.row.hidden) there.add(r.area);
    }
    for (const [area, heading] of headings) heading.hidden = !there.has(area);
    $("shown").textContent = `${rows.filter((r) => !r.row.hidden).length} of ${many(rows.length, "check")}`;
  }
  for (const id of ["text", "level", "show"]) $(id).addEventListener("input", update);
  update();

  // The head of the table stays in sight where the table needs no scrolling of its own.
  const fit = () => {
    $("scroll").style.setProperty("--bar", `${document.querySelector(".filters").offsetHeight}px`);
    $("scroll").classList.remove("fits");
    $("scroll").classList.toggle("fits", innerWidth > 700 && $("matrix").scrollWidth <= $("scroll").clientWidth);
  };
  addEventListener("resize", fit);
  fit();

  $("foot").append(reports.length ? `Suite ${reports[0].suite.version} (${reports[0].suite.digest}), seed ${reports[0].seed}${reports[0].chaos ? `, chaos ${reports[0].chaos}` : ""}. “Not met” is said of what this version was seen to send in this run, and of nothing else. `
    : "There is no report. ", el("kbd", {}, "/"), " filters, arrows go from cell to cell, ", el("kbd", {}, "Enter"), " opens, and there ", el("kbd", {}, "←"), " ", el("kbd", {}, "→"), " go from check to check.");

  // One cell.

  const svg = (name, attributes, ...children) => {
    const e = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) e.setAttribute(key, value);
    e.append(...children);
    return e;
  };
  const lanes = { imds: "IMDS", endpoint: "Managed identity endpoint", sts: "Token service", blob: "Storage", trap: "A host outside", proxy: "HTTP proxy", cleartext: "Port 80 in clear" };
  const laneOf = (x) => x.op.split(".")[0];
  const outside = (x) => ["trap", "cleartext"].includes(laneOf(x));
  const short = (s) => s.replace(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/gi, (g) => `${g.slice(0, 8)}…`);
  const pathOf = (url) => { try { const u = new URL(url); return u.pathname; } catch { return url; } };
  const ruler = document.createElement("canvas").getContext("2d");
  const fitted = (text, width) => {
    ruler.font = "12px system-ui, sans-serif";
    let n = text.length;
    while (n > 1 && ruler.measureText(text.slice(0, n)).width > width) n--;
    return n === text.length ? text : `${text.slice(0, n - 1)}…`;
  };
  const answered = (x) => {
    if (!x.status) return x.gone ? "the connection broke" : "no answer";
    const location = x.reply?.Location?.[0];
    return `${x.status}${location ? ` to ${location}` : ""}${(x.claims || []).some((t) => t.where === "answer") ? ", a token" : ""}${x.gone ? ", then the connection broke" : ""}`;
  };

  function diagram(exchanges, open) {
    const used = [...Object.keys(lanes).filter((l) => exchanges.some((x) => laneOf(x) === l)), ...new Set(exchanges.map(laneOf).filter((l) => !lanes[l]))];
    const width = 960, step = 62, top = 46, x0 = 70, gap = (width - x0 - 110) / used.length;
    const at = (lane) => x0 + gap * (used.indexOf(lane) + 1);
    const height = top + step * exchanges.length + 8;
    const d = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": "Sequence of requests and answers" });
    const label = (x, text) => d.append(svg("text", { x, y: 18, "text-anchor": "middle" }, fitted(text, gap - 8)), svg("line", { x1: x, x2: x, y1: 26, y2: height - 6, class: "lane" }));
    label(x0, "Client");
    for (const lane of used) label(at(lane), lanes[lane] || lane);
    exchanges.forEach((x, i) => {
      const y = top + step * i, to = at(laneOf(x)), bad = outside(x) ? " bad" : "", room = Math.max(170, to - x0 - 16), back = y + 28;
      const g = svg("g", { class: "step", tabindex: "0", role: "button", "aria-label": `Exchange ${x.seq}: ${x.method} ${x.url}, answered with ${answered(x)}` });
      g.append(svg("rect", { x: 0, y: y - 12, width, height: step - 4, rx: 4 }),
        svg("text", { x: x0 + 8, y: y + 2 }, fitted(`${x.seq}. ${x.method} ${short(pathOf(x.url))}`, room)),
        svg("line", { x1: x0, x2: to, y1: y + 8, y2: y + 8, class: `call${bad}` }), svg("path", { d: `M${to - 7},${y + 4} L${to},${y + 8} L${to - 7},${y + 12}`, class: `call${bad}` }));
      if ((x.presents || []).length) g.append(svg("text", { x: x0 + 8, y: y + 21, class: "token" }, `with the token of ${x.presents.join(" and ")}`));
      if (x.status || !x.gone) g.append(svg("line", { x1: to, x2: x0, y1: back, y2: back, class: "reply" }), svg("path", { d: `M${x0 + 7},${back - 4} L${x0},${back} L${x0 + 7},${back + 4}`, class: "reply" }));
      g.append(svg("text", { x: x0 + 8, y: back + 14, class: x.fault ? "fault" : "small" }, fitted(`${answered(x)}${x.fault ? " (as the check has it)" : ""}`, width - x0 - 130)),
        svg("text", { x: width - 4, y: y + 12, class: "small", "text-anchor": "end" }, `${(x.at_ms / 1000).toFixed(2)} s`));
      const go = () => open(x.seq);
      g.addEventListener("click", go);
      g.addEventListener("keydown", (e) => { if (e.key === "Enter" || e.key === " ") { e.preventDefault(); go(); } });
      d.append(g);
    });
    return el("div", { class: "diagram" }, d);
  }

  const headers = (h) => Object.entries(h || {}).flatMap(([name, values]) => values.map((v) => `${name}: ${v}`)).join("\n");
  const isForm = (x) => (x.header?.["Content-Type"]?.[0] || "").includes("form-urlencoded");

  function token(t) {
    const times = ["iat", "nbf", "exp"].filter((k) => Number.isFinite(t.claims?.[k]) && Math.abs(t.claims[k]) < 8e12).map((k) => `${k} is ${new Date(t.claims[k] * 1000).toISOString().replace(".000Z", "Z")}`);
    return [el("h3", { class: "token" }, `Token in the ${t.where}, SHA-256 ${t.token}…${t.issued ? `, issued by exchange ${t.issued}` : ""}`),
      el("pre", { class: "claims" }, t.claims ? JSON.stringify(t.claims, null, 2) : "It is no JWT."), times.length ? el("p", { class: "faint" }, times.join(", ")) : null];
  }

  function exchange(x) {
    const request = [el("h3", {}, "Request"), el("pre", {}, `${x.method} ${x.url} ${x.proto || ""}\n${headers(x.header)}${x.body ? `\n\n${isForm(x) ? x.body.replaceAll("&", "\n&") : x.body}` : ""}`)];
    const answer = [el("h3", {}, x.fault ? "Answer, as the check has it" : "Answer"), el("pre", {}, x.status ? `${x.status}\n${headers(x.reply)}${x.answer ? `\n\n${x.answer}` : ""}` : `There was ${answered(x)}.`)];
    for (const t of x.claims || []) (t.where === "request" ? request : answer).push(...token(t));
    return el("details", { class: "exchange", "data-seq": x.seq }, el("summary", {}, `${x.seq}. `, el("code", {}, `${x.method} ${short(x.url)}`), ` → ${answered(x)}`),
      el("div", { class: "sides" }, el("div", {}, request), el("div", {}, answer)));
  }

  function oneCase(k, alone) {
    const details = (k.exchanges || []).map(exchange);
    const open = (seq) => {
      const d = details.find((x) => x.dataset.seq === String(seq));
      d.open = true;
      d.scrollIntoView({ block: "center" });
      d.querySelector("summary").focus();
    };
    const told = (k.conditions || []).some((x) => !x.met) && !["error", "timeout", "inconclusive"].includes(k.verdict);
    const conditions = [...(k.conditions || [])].sort((a, b) => a.met - b.met);
    return el("details", { class: "case", open: alone || !["pass", "skip"].includes(k.verdict) },
      el("summary", {}, k.name || "What happened", " ", badge(k.verdict), " ", el("span", { class: "faint" }, `${many((k.exchanges || []).length, "exchange")}, ${(k.took_ms / 1000).toFixed(2)} s`)),
      k.why && !told ? el("p", {}, k.why) : null,
      // What was seen is told of what is not met: of what is, checks may say nothing that makes sense.
      conditions.map((x) => (x.met ? el("div", { class: "condition" }, el("code", {}, x.id), ` is met: ${x.expected}`)
        : el("div", { class: "condition unmet" }, el("code", {}, x.id), " is not met",
          el("dl", {}, el("dt", {}, "Required"), el("dd", {}, x.expected), el("dt", {}, "Seen"), el("dd", {}, x.actual))))),
      details.length ? diagram(k.exchanges, open) : el("p", { class: "faint" }, "Nothing was sent."),
      details, k.output ? el("details", { class: "exchange" }, el("summary", {}, "What the client wrote"), el("pre", {}, k.output)) : null);
  }

  const shellQuoted = (s) => (/^[\w@%+=:,./-]+$/.test(s) ? s : `'${s.replaceAll("'", "'\\''")}'`);

  let current = null; // the check and the client that are shown
  function sheet(i, id) {
    const c = byCheck.get(id), got = results[i]?.get(id);
    if (!c || !got) return;
    current = { i, id };
    const dialog = $("sheet"), inside = dialog.querySelector(".sheet");
    const list = el("dl", {});
    const row = (term, ...value) => { if (value.flat().some((v) => v && v.length !== 0)) list.append(el("dt", {}, term), el("dd", {}, ...value.flat())); };
    const unmetCases = (got.cases || []).filter((k) => isUnmet(k.verdict)).length;
    row("Verdict", badge(got.verdict), " ", (got.cases || []).length > 1 && unmetCases ? `in ${unmetCases} of ${got.cases.length} cases` : "", (got.cases || []).some((k) => k.exchanges) ? "" : got.why || "");
    if (got.expected) row("Expected", [`not to be met: ${got.expected.reason} (${got.expected.where}) `, link(got.expected.issue || "")]);
    if (moved(i, id)) row("Before", [badge(was[i].get(id).verdict)]);
    row("Provoked", c.Provokes);
    row("Passes if", c.Passes);
    row("Sources", joined(c.Sources.map(link), ", "));
    row("Known", (c.Known || []).join("; "));
    const { flags = [], command = [], chaos } = reports[i];
    if (flags.length || command.length) {
      const again = ["fakeentra", "conform", "run", "--only", id, ...(chaos ? ["--chaos", chaos] : []), ...flags, ...(command.length ? ["--", ...command] : [])];
      row("Alone", [el("code", {}, again.map(shellQuoted).join(" "))]);
    }
    const neighbours = near(i, id);
    const step = (text, to, label) => el("button", { disabled: !to, "aria-label": label, onclick: () => { location.hash = to; } }, text);
    inside.replaceChildren(
      el("div", { class: "bartop" }, step("← Previous", neighbours[0], "Previous check"), step("Next →", neighbours[1], "Next check"), el("button", { class: "close", onclick: () => dialog.close() }, "Close")),
      el("h1", { id: "sheet-title" }, `${c.ID} ${c.Title}`),
      reports.length > 1 ? el("ul", { class: "clients", "aria-label": "Clients" }, reports.map((r, j) => (results[j].get(id) ? el("li", {}, el("a", { href: `#${j}/${id}`, "aria-current": j === i ? "true" : null }, named(r)), " ", badge(results[j].get(id).verdict)) : null))) : el("p", { class: "faint" }, named(reports[i])),
      el("p", { class: "lead" }, el("span", { class: "level" }, c.Level), " ", c.Requirement), list,
      ...(got.cases || []).map((k) => oneCase(k, got.cases.length === 1)));
    if (!dialog.open) dialog.showModal();
    inside.scrollTop = 0;
    inside.focus();
  }

  // near returns the cells of a client before and after one, among those in sight.
  function near(i, id) {
    const all = rows.filter((r) => (!r.row.hidden || r.c.ID === id) && results[i].has(r.c.ID)).map((r) => `${i}/${r.c.ID}`);
    const at = all.indexOf(`${i}/${id}`);
    return [all[at - 1], all[at + 1]];
  }

  const cellAt = (name) => document.querySelector(`[data-cell="${CSS.escape(name)}"]`);
  const follow = () => {
    const [i, id] = location.hash.slice(1).split("/"); // IDs need no escapes
    if (id) sheet(Number(i), id);
    else if ($("sheet").open) $("sheet").close();
  };
  $("sheet").addEventListener("close", () => {
    if (location.hash) history.replaceState(null, "", location.pathname + location.search);
    if (current) cellAt(`${current.i}/${current.id}`)?.focus();
    current = null;
  });
  $("sheet").addEventListener("click", (e) => { if (e.target === $("sheet")) $("sheet").close(); });

  // arrow is where an arrow key leads to from a cell.
  function arrow(key, cell) {
    const row = cell.closest("tr"), column = [...row.children].indexOf(cell.parentElement);
    if (key === "ArrowLeft" || key === "ArrowRight") {
      for (let td = cell.parentElement; (td = key === "ArrowLeft" ? td.previousElementSibling : td.nextElementSibling);) if (td.querySelector("button")) return td.querySelector("button");
      return null;
    }
    const there = rows.filter((r) => !r.row.hidden).map((r) => r.row);
    const step = key === "ArrowUp" ? -1 : 1;
    for (let n = there.indexOf(row) + step; n >= 0 && n < there.length; n += step) {
      const next = there[n].children[column].querySelector("button");
      if (next) return next;
    }
    return null;
  }

  document.addEventListener("keydown", (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey) return;
    if (current && (e.key === "ArrowLeft" || e.key === "ArrowRight")) {
      const to = near(current.i, current.id)[e.key === "ArrowLeft" ? 0 : 1];
      if (to) { e.preventDefault(); location.hash = to; }
    } else if (!current && e.key === "/" && !/^(INPUT|SELECT|TEXTAREA)$/.test(e.target.tagName)) {
      e.preventDefault();
      $("text").focus();
    } else if (!current && e.key.startsWith("Arrow") && e.target.matches?.("button.verdict")) {
      const next = arrow(e.key, e.target);
      if (next) { e.preventDefault(); next.focus(); next.scrollIntoView({ block: "nearest" }); }
    }
  });
  addEventListener("hashchange", follow);
  follow();
}

unpacked().then(show).catch((e) => {
  document.getElementById("cards").append(el("p", { class: "trouble" }, `This page cannot be shown; it needs a browser of 2023 or later. (${e})`));
  throw e;
});
