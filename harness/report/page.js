"use strict";
// The state of the page is its address: every control changes the hash, and every change of the
// hash draws what depends on it. All text goes in as text, never as markup.
(() => {
  const $ = (id) => document.getElementById(id);
  const index = JSON.parse($("index").textContent);
  const OUTCOMES = { f: "fault", g: "gap", s: "skipped", p: "pass" };
  const SIGNS = { fault: "✕", gap: "△", skipped: "–", pass: "✓" };
  const WORST_FIRST = Object.values(OUTCOMES);
  const NOWHERE = { case: "", turn: "", event: "", chunk: "" };
  const SHOWN = 200; // cases in the list, before "Show all"
  const sections = [...new Set(index.rules.map((rule) => rule.section))];
  const key = (one) => [one.subject, one.cassette, one.variant].join(" ~ ");
  const byKey = new Map(index.cases.map((one, number) => [key(one), number]));

  // --- small tools -------------------------------------------------------------------------------

  const build = (node, attributes, children) => {
    for (const [name, value] of Object.entries(attributes || {})) {
      if (name === "on") for (const [event, act] of Object.entries(value)) node.addEventListener(event, act);
      else if (value !== undefined && value !== null && value !== false) node.setAttribute(name, value);
    }
    node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
    return node;
  };
  const el = (name, attributes, ...children) => build(document.createElement(name), attributes, children);
  const svg = (name, attributes, ...children) =>
    build(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
  const counted = (count, what) => `${count.toLocaleString("en")} ${what}${count === 1 ? "" : "s"}`;
  const milliseconds = (value) => `${Number(value.toFixed(value < 100 ? 1 : 0))} ms`;

  const read = () => Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
  const address = (change) => {
    const parameters = new URLSearchParams();
    for (const [name, value] of Object.entries({ ...read(), ...change })) if (value !== "") parameters.set(name, value);
    return `#${parameters}`;
  };
  const go = (change) => { location.hash = address(change); };

  // Draws a part anew where what it depends on has changed, and gives the focus back.
  const drawn = new Map();
  const draw = (id, depends, children) => {
    const seen = JSON.stringify(depends);
    if (drawn.get(id) === seen) return;
    drawn.set(id, seen);
    const had = $(id).contains(document.activeElement) ? document.activeElement.dataset.key : null;
    $(id).replaceChildren(...children());
    if (had) [...$(id).querySelectorAll("[data-key]")].find((one) => one.dataset.key === had)?.focus();
  };

  // --- verdicts ----------------------------------------------------------------------------------

  const outcomeOf = (one, wanted) => {
    let found = null;
    for (let at = 0; at < index.rules.length; at++) {
      if (!wanted(index.rules[at])) continue;
      const outcome = OUTCOMES[one.verdicts[at]];
      if (outcome && (found === null || WORST_FIRST.indexOf(outcome) < WORST_FIRST.indexOf(found))) found = outcome;
    }
    return found;
  };
  const wantedBy = (state) => (rule) =>
    (!state.section || rule.section === state.section) && (!state.rule || rule.id === state.rule);

  const chosenCases = (state) => {
    const wanted = wantedBy(state);
    const faults = (one) => one.found.filter((found) => found.verdict === "fault").length;
    return index.cases
      .filter((one) => !state.subject || one.subject === state.subject)
      .filter((one) => !state.variant || one.variant === state.variant)
      .filter((one) => {
        const outcomes = index.rules.flatMap((rule, at) => (wanted(rule) ? [OUTCOMES[one.verdicts[at]]] : []));
        return state.verdict ? outcomes.includes(state.verdict) : outcomes.some(Boolean) || !(state.section || state.rule);
      })
      .sort((one, other) => faults(other) - faults(one));
  };

  // --- head --------------------------------------------------------------------------------------

  const drawHead = () => {
    const first = index.runs[0];
    $("run").append(
      `${counted(index.cases.length, "case")}, ${counted(index.rules.length, "rule")}`,
      first ? `, suite ${first.suite}, started ${first.started_at}` : "");
    for (const subject of index.subjects) {
      const run = index.runs.find((one) => one.subject === subject) || {};
      const own = index.cases.filter((one) => one.subject === subject);
      const found = own.flatMap((one) => one.found);
      const faults = found.filter((one) => one.verdict === "fault");
      const failing = faults.filter((one) => one.level === "MUST" || run.strict);
      const gaps = found.length - faults.length;
      $("tallies").append(el("li", {},
        el("strong", { class: failing.length ? "fault" : "pass" }, `${failing.length ? SIGNS.fault : SIGNS.pass} ${subject}`),
        ` ${run.version || ""} `,
        el("span", { class: "soft" }, [
          counted(own.length, "case"), counted(faults.length, "fault"),
          ...(gaps ? [counted(gaps, "known gap")] : []), ...(run.strict ? ["strict"] : []),
          ...(run.target ? [run.target] : [])].join(", "))));
    }
    $("skip").addEventListener("click", (event) => { event.preventDefault(); $("case").focus(); });
  };

  // --- matrix: subject x section, or rule, x variant ---------------------------------------------

  const columns = index.subjects.flatMap((subject) =>
    index.variants
      .filter((variant) => index.cases.some((one) => one.subject === subject && one.variant === variant))
      .map((variant, at) => ({ subject, variant, first: at === 0,
        cases: index.cases.filter((one) => one.subject === subject && one.variant === variant) })));

  const cell = (state, column, row, wanted) => {
    const counts = { fault: 0, gap: 0, skipped: 0, pass: 0 };
    for (const one of column.cases) { const outcome = outcomeOf(one, wanted); if (outcome) counts[outcome]++; }
    const outcome = WORST_FIRST.find((name) => counts[name]);
    const attributes = { class: column.first ? "first" : null };
    if (!outcome) return el("td", attributes);
    const verdict = outcome === "fault" || outcome === "gap" ? outcome : "";
    const change = { ...NOWHERE, subject: column.subject, variant: column.variant, verdict, section: "", rule: "", ...row };
    const current = ["subject", "variant", "section", "rule"].every((name) => (state[name] || "") === change[name]);
    const name = row.rule || row.section;
    return el("td", attributes, el("a", {
      href: address(change), class: outcome, "data-key": `${name} ${column.subject} ${column.variant}`,
      "aria-current": current ? "true" : null,
      "aria-label": `${name}, ${column.subject}, ${column.variant}: ${outcome} in ${counts[outcome]} of ${counted(column.cases.length, "case")}`,
      title: `${column.subject}, ${column.variant}: ${WORST_FIRST.filter((one) => counts[one]).map((one) => `${one} ${counts[one]}`).join(", ")}`,
    }, verdict ? `${SIGNS[outcome]} ${counts[outcome]}` : SIGNS[outcome]));
  };

  const drawMatrix = (state) => draw("matrix", [filtersOf(state), state.axis], () => {
    const upright = columns.length > 6 ? "upright" : null;
    const spans = index.subjects.map((subject) => [subject, columns.filter((one) => one.subject === subject).length]);
    const rows = [];
    for (const section of sections) {
      const open = state.section === section;
      rows.push(el("tr", {},
        el("th", { scope: "row" }, el("a", {
          href: address({ ...NOWHERE, section: open ? "" : section, rule: "", verdict: "", subject: "", variant: "" }), "data-key": section,
          "aria-expanded": String(open), role: "button",
        }, `${open ? "▾" : "▸"} ${section}`)),
        columns.map((column) => cell(state, column, { section }, (rule) => rule.section === section))));
      if (!open) continue;
      for (const rule of index.rules.filter((one) => one.section === section)) {
        rows.push(el("tr", { class: "rule" },
          el("th", { scope: "row" }, rule.id, el("span", { class: "soft" }, ` ${rule.requirement}`)),
          columns.map((column) => cell(state, column, { section, rule: rule.id }, (one) => one.id === rule.id))));
      }
    }
    return [el("table", {},
      el("thead", {},
        el("tr", {}, el("th", { scope: "col", rowspan: 2 }, "section"),
          spans.map(([subject, count]) => el("th", { scope: "colgroup", colspan: count, class: "first" }, subject))),
        el("tr", {}, columns.map((column) => el("th", { scope: "col", class: `${upright || ""} ${column.first ? "first" : ""}` }, column.variant)))),
      el("tbody", {}, rows))];
  });

  // --- filters and list --------------------------------------------------------------------------

  const FILTERS = {
    subject: () => index.subjects,
    variant: () => index.variants,
    section: () => sections,
    rule: (state) => index.rules.filter((rule) => !state.section || rule.section === state.section).map((rule) => rule.id),
    verdict: () => WORST_FIRST,
  };
  const filtersOf = (state) => Object.keys(FILTERS).map((name) => state[name]);

  const drawFilters = (state) => draw("filters", filtersOf(state), () => [
    ...Object.entries(FILTERS).map(([name, values]) => el("label", {}, name,
      el("select", { "data-key": name, name, on: { change: (event) =>
        go({ ...NOWHERE, [name]: event.target.value, ...(name === "section" ? { rule: "" } : {}) }) } },
      ["", ...values(state)].map((value) => {
        const option = el("option", { value }, value || "all");
        option.selected = value === (state[name] || "");
        return option;
      })))),
    el("button", { type: "button", "data-key": "clear", on: { click: () => go({ ...NOWHERE, subject: "", variant: "", section: "", rule: "", verdict: "" }) } }, "Show all"),
  ]);

  let whole = false; // whether the list is shown to its end
  const drawList = (state, chosen, current) => draw("list", [filtersOf(state), whole, current, state.axis], () => {
    const several = (name) => new Set(index.cases.map((one) => one[name])).size > 1;
    const shown = whole ? chosen : chosen.slice(0, SHOWN);
    const entries = shown.map((one) => {
      const counts = WORST_FIRST.slice(0, 2).map((verdict) => [verdict, one.found.filter((found) => found.verdict === verdict).length]);
      const about = [...(several("subject") ? [one.subject] : []), ...(several("variant") ? [one.variant] : [])];
      return el("li", {}, el("a", {
        href: address({ ...NOWHERE, case: key(one) }), "data-key": key(one), "aria-current": key(one) === current ? "true" : null,
      },
      el("span", { class: "mono" }, one.cassette), el("span", { class: "soft" }, about.join(" · ")),
      counts.some(([, count]) => count)
        ? counts.filter(([, count]) => count).map(([verdict, count]) => el("span", { class: verdict }, `${SIGNS[verdict]} ${counted(count, verdict)}`))
        : el("span", { class: "pass" }, `${SIGNS.pass} pass`)));
    });
    if (shown.length < chosen.length) {
      entries.push(el("li", {}, el("button", { type: "button", on: { click: () => { whole = true; show(); } } }, `Show all ${counted(chosen.length, "case")}`)));
    }
    return entries;
  });

  // --- a case: two lanes on one time axis --------------------------------------------------------

  const unpack = async (number) => {
    const bytes = Uint8Array.from(atob($(`case-${number}`).textContent), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return JSON.parse(await new Response(stream).text());
  };

  const KINDS = ["lifecycle", "reasoning", "text", "call", "other"];
  const kindOf = ([, type]) => {
    if (/reasoning/.test(type)) return "reasoning";
    if (/output_text|refusal|content_part/.test(type)) return "text";
    if (/_call/.test(type)) return "call";
    return /^response\.(created|in_progress|queued|completed|incomplete|failed|output_item\.)/.test(type) || type === "error" ? "lifecycle" : "other";
  };

  const EDGE = 10;
  const LANES = { chunk: [24, 64], event: [88, 128] };

  // Places each chunk and event: by its time or, as many come in one millisecond, evenly.
  const placesOf = (turn, evenly) => {
    const times = { chunk: turn.chunks.map(([at]) => at), event: turn.events.map(([at]) => at) };
    if (!evenly) {
      const every = [...times.chunk, ...times.event];
      const last = every.reduce((most, at) => Math.max(most, at), 1);
      const first = every.reduce((least, at) => Math.min(least, at), last);
      // A long wait before the first of them would leave no room for them.
      return { ...times, last, first: first > last / 2 ? first - (last - first) * 0.05 : 0 };
    }
    const all = Object.entries(times).flatMap(([lane, list]) => list.map((at, number) => ({ lane, at, number })));
    all.sort((one, other) => one.at - other.at || (one.lane < other.lane ? -1 : one.lane > other.lane ? 1 : one.number - other.number));
    all.forEach((one, place) => { times[one.lane][one.number] = place; });
    return { ...times, first: 0, last: Math.max(1, all.length - 1) };
  };

  const stepOf = (span, count) => {
    const rough = span / count;
    const power = 10 ** Math.floor(Math.log10(rough));
    return power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
  };

  const legend = () => el("p", { class: "legend", "aria-hidden": "true" }, ["chunk", ...KINDS].map((kind) =>
    el("span", {}, svg("svg", { viewBox: "0 0 12 12" }, svg("path", { d: "M6 0V12", class: `stroke-${kind}` })), kind)));

  class Timeline {
    constructor(name, turn, number, found, state) {
      Object.assign(this, { name, turn, number, found, zoom: 1, at: null });
      this.places = placesOf(turn, state.axis === "order");
      this.evenly = state.axis === "order";
      this.readout = el("output", { class: "mono soft" });
      this.detail = el("pre", { tabindex: 0, "aria-label": `What came, turn ${number}` });
      this.lanes = el("div", {
        class: "lanes", tabindex: 0, role: "group", "data-key": `lanes ${number}`,
        "aria-label": `Timeline of turn ${number}: ${counted(turn.chunks.length, "chunk")} above, ${counted(turn.events.length, "event")} below, ` +
          `${counted(found.length, "fault")}. Left and right go from one to the next, up and down between the lanes, N to the next fault.`,
        on: { keydown: (event) => this.key(event) },
      });
      const button = (text, act) => el("button", { type: "button", on: { click: act } }, text);
      this.node = el("div", { class: "turn" },
        el("h3", {}, `Turn ${number} `, el("span", { class: "soft" }, `${counted(turn.chunks.length, "chunk")}, ${counted(turn.events.length, "event")}`)),
        this.lanes,
        el("div", { class: "tools" },
          button("◀ previous", () => this.step(-1)), button("next ▶", () => this.step(1)),
          found.length ? button("next fault", () => this.nextFault()) : null,
          button("+ zoom in", () => this.scale(2)), button("− zoom out", () => this.scale(0.5)), this.readout),
        this.detail);
      this.paint();
      new ResizeObserver(() => { if (this.lanes.clientWidth !== this.painted) this.paint(); }).observe(this.lanes);
    }

    xOf(place) {
      const { first, last } = this.places;
      return EDGE + ((place - first) / (last - first || 1)) * (this.width - 2 * EDGE);
    }

    x(lane, number) {
      return this.xOf(this.places[lane][number]);
    }

    // One path for all of a kind: ten thousand ticks are six elements.
    paint() {
      this.painted = this.lanes.clientWidth;
      this.width = Math.max(280, (this.painted || 800) * this.zoom);
      const paths = Object.fromEntries(["chunk", ...KINDS].map((kind) => [kind, []]));
      const most = Math.log1p(Math.max(1, ...this.turn.chunks.map(([, size]) => size).slice(0, 1e5)));
      const [top, bottom] = LANES.chunk;
      this.turn.chunks.forEach(([, size], number) =>
        paths.chunk.push(`M${this.x("chunk", number).toFixed(1)} ${bottom}V${(bottom - 6 - (bottom - top - 6) * Math.log1p(size) / most).toFixed(1)}`));
      this.turn.events.forEach((event, number) =>
        paths[kindOf(event)].push(`M${this.x("event", number).toFixed(1)} ${LANES.event[0]}V${LANES.event[1]}`));
      this.cursor = svg("path", { class: "chosen", d: "" });
      const marks = this.found.map((found) => {
        const x = this.turn.events.length === 0 ? EDGE : this.x("event", Math.min(found.event ?? Infinity, this.turn.events.length - 1));
        const gap = found.verdict === "gap" ? "gap" : "";
        return [
          svg("path", { class: `span ${gap}`, d: `M${x.toFixed(1)} ${LANES.chunk[0]}V142` }),
          svg("path", { class: `mark ${gap}`, d: `M${x.toFixed(1)} 132l6 11h-12z` }, svg("title", {}, `${found.rule}: ${found.requirement}`)),
        ];
      });
      this.drawing = svg("svg", { width: this.width, viewBox: `0 0 ${this.width} 176`, "aria-hidden": "true", on: {
        pointermove: (event) => this.hover(event), pointerleave: () => this.say(this.at), click: (event) => this.choose(this.near(event)),
      } },
      svg("text", { x: EDGE, y: 14 }, "provider's chunks"), svg("text", { x: EDGE, y: 82 }, "reconstructed events"),
      svg("path", { class: "axis", d: `M0 ${LANES.chunk[1]}H${this.width}M0 ${LANES.event[1]}H${this.width}` }),
      this.axis(), Object.entries(paths).map(([kind, path]) => svg("path", { class: `stroke-${kind}`, d: path.join("") })),
      marks, this.cursor);
      this.drawing.style.width = `${this.width}px`;
      this.lanes.replaceChildren(this.drawing);
      this.point(this.at);
    }

    axis() {
      const { first, last } = this.places;
      const step = stepOf(last - first || 1, Math.max(2, this.width / 110));
      const labels = [];
      for (let at = Math.ceil(first / step) * step; at <= last; at += step) {
        const x = this.xOf(at);
        const end = x > this.width - 60;
        labels.push(svg("path", { class: "axis", d: `M${x} 150v5` }), svg("text", { x, y: 168, "text-anchor": end ? "end" : x > EDGE + 30 ? "middle" : "start" }, this.evenly ? `${Math.round(at)}` : milliseconds(at)));
      }
      return labels;
    }

    near(event) {
      const box = this.drawing.getBoundingClientRect();
      const x = event.clientX - box.left;
      const y = ((event.clientY - box.top) / box.height) * 176;
      let lane = y < 74 ? "chunk" : "event";
      if (!this.places[lane].length) lane = lane === "chunk" ? "event" : "chunk";
      let best = null;
      for (let number = 0; number < this.places[lane].length; number++) {
        const far = Math.abs(this.x(lane, number) - x);
        if (best === null || far < best.far) best = { lane, number, far };
      }
      return best;
    }

    hover(event) { this.say(this.near(event)); }

    say(at) { this.readout.textContent = at ? this.describe(at) : ""; }

    describe({ lane, number }) {
      if (lane === "chunk") {
        const [time, size] = this.turn.chunks[number];
        return `chunk ${number} · ${counted(size, "byte")} · ${milliseconds(time)}`;
      }
      const [time, type] = this.turn.events[number];
      const faults = this.found.filter((found) => found.event === number).map((found) => ` · ${SIGNS[found.verdict]} ${found.rule}`);
      return `event ${number} · ${type || "without type"} · ${milliseconds(time)}${faults.join("")}`;
    }

    choose(at) {
      if (at) go({ case: this.name, turn: String(this.number), event: at.lane === "event" ? String(at.number) : "", chunk: at.lane === "chunk" ? String(at.number) : "" });
    }

    step(by) {
      const { lane, number } = this.at || { lane: this.turn.events.length ? "event" : "chunk", number: by > 0 ? -1 : Infinity };
      const count = this.places[lane].length;
      if (count) this.choose({ lane, number: Math.min(count - 1, Math.max(0, number + by)) });
    }

    nextFault() {
      const numbers = [...new Set(this.found.map((found) => found.event ?? this.turn.events.length - 1))].sort((one, other) => one - other);
      const from = this.at && this.at.lane === "event" ? this.at.number : -1;
      const number = numbers.find((one) => one > from) ?? numbers[0];
      if (number >= 0) this.choose({ lane: "event", number });
    }

    scale(by) {
      this.zoom = Math.min(64, Math.max(1, this.zoom * by));
      this.paint();
    }

    key(event) {
      const last = this.at ? this.places[this.at.lane].length - 1 : 0;
      const acts = {
        ArrowLeft: () => this.step(-1), ArrowRight: () => this.step(1),
        Home: () => this.choose(this.at && { ...this.at, number: 0 }), End: () => this.choose(this.at && { ...this.at, number: last }),
        ArrowUp: () => this.change("chunk"), ArrowDown: () => this.change("event"),
        n: () => this.nextFault(), "+": () => this.scale(2), "-": () => this.scale(0.5),
      };
      if (event.ctrlKey || event.metaKey || event.altKey || !acts[event.key]) return;
      event.preventDefault();
      acts[event.key]();
    }

    // To the last of the other lane that had come by then.
    change(lane) {
      if (!this.places[lane].length || (this.at && this.at.lane === lane)) return;
      const before = this.at ? this.places[this.at.lane][this.at.number] : 0;
      const later = this.places[lane].findIndex((place) => place > before);
      this.choose({ lane, number: later < 0 ? this.places[lane].length - 1 : Math.max(0, later - 1) });
    }

    point(at) {
      this.at = at && at.number < this.places[at.lane].length ? at : null;
      this.say(this.at);
      if (!this.at) { this.cursor.setAttribute("d", ""); this.detail.textContent = ""; return; }
      const x = this.x(this.at.lane, this.at.number);
      this.cursor.setAttribute("d", `M${x.toFixed(1)} ${LANES[this.at.lane][0] - 4}V${LANES[this.at.lane][1] + 4}`);
      if (x < this.lanes.scrollLeft || x > this.lanes.scrollLeft + this.lanes.clientWidth) this.lanes.scrollLeft = x - this.lanes.clientWidth / 2;
      const [, , content] = this.turn[`${this.at.lane}s`][this.at.number];
      this.detail.textContent = typeof content === "string" ? content : JSON.stringify(content, null, 2);
    }
  }

  const finding = (found, one, state) => {
    const there = found.turn && found.event !== null;
    const current = there && String(found.turn) === state.turn && String(found.event) === state.event;
    const side = (position, mark) => found.diff.map(([kind, ...texts]) =>
      kind === "same" || !texts[position] ? texts[position] : el(mark, {}, texts[position]));
    return el("article", { class: `finding ${found.verdict === "gap" ? "is-gap" : ""}`, "aria-current": current ? "true" : null },
      el("h3", {}, el("span", { class: found.verdict }, `${SIGNS[found.verdict]} ${found.verdict} `), `${found.rule} `, el("span", { class: "soft" }, found.level)),
      el("p", {}, found.requirement),
      el("dl", {},
        el("dt", {}, "expected"), el("dd", { class: "mono" }, side(0, "del")),
        el("dt", {}, "actual"), el("dd", { class: "mono" }, side(1, "ins")),
        el("dt", {}, "where"), el("dd", {}, there
          ? el("a", { href: address({ case: key(one), turn: found.turn, event: found.event, chunk: "" }), "data-key": `${found.rule} ${found.turn} ${found.event}` }, found.where)
          : found.where),
        found.reason ? [el("dt", {}, "known"), el("dd", {}, found.reason)] : null));
  };

  let timelines = [];
  let unpacked = Promise.resolve(null); // the turns of the case that is shown
  const drawCase = async (state, one) => {
    if (!one) {
      $("case-title").textContent = "";
      for (const id of ["turns", "found"]) draw(id, null, () => []);
      return;
    }
    $("case-title").textContent = [one.cassette, one.variant, one.subject].join(" · ");
    draw("found", [key(one), state], () => {
      const passed = index.rules.filter((rule, at) => one.verdicts[at] === "p").map((rule) => rule.id);
      return [
        ...one.found.map((found) => finding(found, one, state)),
        ...(one.skipped.length ? [el("p", { class: "soft" }, "Skipped: ", one.skipped.map(({ rule, reason }) => `${rule} (${reason || "no reason given"})`).join(", "))] : []),
        el("p", { class: "pass" }, `${SIGNS.pass} ${counted(passed.length, "rule")} held`, el("span", { class: "soft" }, passed.length ? `: ${passed.join(", ")}` : "")),
      ];
    });
    const stamp = JSON.stringify([key(one), state.axis]);
    if (drawn.get("case") !== stamp) {
      drawn.set("case", stamp);
      unpacked = unpack(byKey.get(key(one)));
      const turns = await unpacked;
      if (drawn.get("case") !== stamp) return; // another was asked for meanwhile
      drawn.delete("turns");
      draw("turns", stamp, () => {
        timelines = turns.map((turn, at) => new Timeline(key(one), turn, at + 1, one.found.filter((found) => found.turn === at + 1), state));
        const axis = el("button", { type: "button", "data-key": "axis", "aria-pressed": String(state.axis === "order"),
          on: { click: () => go({ axis: read().axis === "order" ? "" : "order" }) } }, "Evenly, in order of arrival");
        return [el("div", { class: "tools" }, legend(), axis), ...timelines.map((timeline) => timeline.node)];
      });
      document.documentElement.dataset.ready = stamp; // for who waits for the drawing
    }
    await unpacked;
    const now = read();
    for (const timeline of timelines) {
      const lane = now.event ? "event" : now.chunk ? "chunk" : null;
      timeline.point(lane && now.turn === String(timeline.number) ? { lane, number: Number(now[lane]) } : null);
    }
  };

  // --- all of it ---------------------------------------------------------------------------------

  let filtered = null;
  const show = () => {
    const state = read();
    const filters = JSON.stringify(filtersOf(state));
    whole = whole && filters === filtered;
    filtered = filters;
    const chosen = chosenCases(state);
    const one = byKey.has(state.case) ? index.cases[byKey.get(state.case)] : chosen[0];
    $("status").textContent = `${counted(chosen.length, "case")} of ${index.cases.length}`;
    drawMatrix(state);
    drawFilters(state);
    drawList(state, chosen, one && key(one));
    drawCase(state, one);
  };

  drawHead();
  show();
  addEventListener("hashchange", show);
})();
