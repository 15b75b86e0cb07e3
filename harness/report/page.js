// The state of the page is its address: every control changes the hash, and every change of the
// hash draws what depends on it.

const index = JSON.parse($("index").textContent);
const NOWHERE = { case: "", turn: "", event: "", chunk: "" };
const SHOWN = 200; // cases in the list, before "Show all"
const sections = [...new Set(index.rules.map((rule) => rule.section))];
const key = (one) => [one.subject, one.cassette, one.variant].join(" ~ ");
const byKey = new Map(index.cases.map((one, number) => [key(one), number]));

// --- verdicts ----------------------------------------------------------------------------------

const outcomeOf = (one, wanted) => {
  let found = null;
  for (let at = 0; at < index.rules.length; at++) {
    if (!wanted(index.rules[at])) continue;
    const outcome = OUTCOMES[one.verdicts[at]];
    if (outcome && (found === null || WORST_FIRST.indexOf(outcome) < WORST_FIRST.indexOf(found)))
      found = outcome;
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
      const outcomes = index.rules.flatMap((rule, at) =>
        wanted(rule) ? [OUTCOMES[one.verdicts[at]]] : [],
      );
      return state.verdict
        ? outcomes.includes(state.verdict)
        : outcomes.some(Boolean) || !(state.section || state.rule);
    })
    .sort((one, other) => faults(other) - faults(one));
};

// --- head --------------------------------------------------------------------------------------

const drawHead = () => {
  const first = index.runs[0];
  $("run").append(
    `${counted(index.cases.length, "case")}, ${counted(index.rules.length, "rule")}`,
    first ? `, suite ${first.suite}, started ${first.started_at}` : "",
  );
  for (const subject of index.subjects) {
    const run = index.runs.find((one) => one.subject === subject) || {};
    const own = index.cases.filter((one) => one.subject === subject);
    const found = own.flatMap((one) => one.found);
    const faults = found.filter((one) => one.verdict === "fault");
    const failing = faults.filter((one) => one.level === "MUST" || run.strict);
    const gaps = found.length - faults.length;
    $("tallies").append(
      el(
        "li",
        {},
        el(
          "strong",
          { class: failing.length ? "fault" : "pass" },
          `${failing.length ? SIGNS.fault : SIGNS.pass} ${subject}`,
        ),
        ` ${run.version || ""} `,
        el(
          "span",
          { class: "soft" },
          [
            counted(own.length, "case"),
            counted(faults.length, "fault"),
            ...(gaps ? [counted(gaps, "known gap")] : []),
            ...(run.strict ? ["strict"] : []),
            ...(run.target ? [run.target] : []),
          ].join(", "),
        ),
      ),
    );
  }
  $("skip").addEventListener("click", (event) => {
    event.preventDefault();
    $("case").focus();
  });
};

// --- matrix: subject x section, or rule, x variant ---------------------------------------------

const columns = index.subjects.flatMap((subject) =>
  index.variants
    .filter((variant) =>
      index.cases.some((one) => one.subject === subject && one.variant === variant),
    )
    .map((variant, at) => ({
      subject,
      variant,
      first: at === 0,
      cases: index.cases.filter((one) => one.subject === subject && one.variant === variant),
    })),
);

const cell = (state, column, row, wanted) => {
  const counts = { fault: 0, gap: 0, skipped: 0, pass: 0 };
  for (const one of column.cases) {
    const outcome = outcomeOf(one, wanted);
    if (outcome) counts[outcome]++;
  }
  const outcome = WORST_FIRST.find((name) => counts[name]);
  const attributes = { class: column.first ? "first" : null };
  if (!outcome) return el("td", attributes);
  const verdict = outcome === "fault" || outcome === "gap" ? outcome : "";
  const change = {
    ...NOWHERE,
    subject: column.subject,
    variant: column.variant,
    verdict,
    section: "",
    rule: "",
    ...row,
  };
  const current = ["subject", "variant", "section", "rule"].every(
    (name) => (state[name] || "") === change[name],
  );
  const name = row.rule || row.section;
  return el(
    "td",
    attributes,
    el(
      "a",
      {
        href: address(change),
        class: outcome,
        "data-key": `${name} ${column.subject} ${column.variant}`,
        "aria-current": current ? "true" : null,
        "aria-label": `${name}, ${column.subject}, ${column.variant}: ${outcome} in ${counts[outcome]} of ${counted(column.cases.length, "case")}`,
        title: `${column.subject}, ${column.variant}: ${WORST_FIRST.filter((one) => counts[one])
          .map((one) => `${one} ${counts[one]}`)
          .join(", ")}`,
      },
      verdict ? `${SIGNS[outcome]} ${counts[outcome]}` : SIGNS[outcome],
    ),
  );
};

const drawMatrix = (state) =>
  draw("matrix", [filtersOf(state), state.axis], () => {
    const upright = columns.length > 6 ? "upright" : null;
    const spans = index.subjects.map((subject) => [
      subject,
      columns.filter((one) => one.subject === subject).length,
    ]);
    const rows = [];
    for (const section of sections) {
      const open = state.section === section;
      rows.push(
        el(
          "tr",
          {},
          el(
            "th",
            { scope: "row" },
            el(
              "a",
              {
                href: address({
                  ...NOWHERE,
                  section: open ? "" : section,
                  rule: "",
                  verdict: "",
                  subject: "",
                  variant: "",
                }),
                "data-key": section,
                "aria-expanded": String(open),
                role: "button",
              },
              `${open ? "▾" : "▸"} ${section}`,
            ),
          ),
          columns.map((column) =>
            cell(state, column, { section }, (rule) => rule.section === section),
          ),
        ),
      );
      if (!open) continue;
      for (const rule of index.rules.filter((one) => one.section === section)) {
        rows.push(
          el(
            "tr",
            { class: "rule" },
            el(
              "th",
              { scope: "row" },
              rule.id,
              el("span", { class: "soft" }, ` ${rule.requirement}`),
            ),
            columns.map((column) =>
              cell(state, column, { section, rule: rule.id }, (one) => one.id === rule.id),
            ),
          ),
        );
      }
    }
    return [
      el(
        "table",
        {},
        el(
          "thead",
          {},
          el(
            "tr",
            {},
            el("th", { scope: "col", rowspan: 2 }, "section"),
            spans.map(([subject, count]) =>
              el("th", { scope: "colgroup", colspan: count, class: "first" }, subject),
            ),
          ),
          el(
            "tr",
            {},
            columns.map((column) =>
              el(
                "th",
                { scope: "col", class: `${upright || ""} ${column.first ? "first" : ""}` },
                column.variant,
              ),
            ),
          ),
        ),
        el("tbody", {}, rows),
      ),
    ];
  });

// --- filters and list --------------------------------------------------------------------------

const FILTERS = {
  subject: () => index.subjects,
  variant: () => index.variants,
  section: () => sections,
  rule: (state) =>
    index.rules
      .filter((rule) => !state.section || rule.section === state.section)
      .map((rule) => rule.id),
  verdict: () => WORST_FIRST,
};
const filtersOf = (state) => Object.keys(FILTERS).map((name) => state[name]);

const drawFilters = (state) =>
  draw("filters", filtersOf(state), () => [
    ...Object.entries(FILTERS).map(([name, values]) =>
      el(
        "label",
        {},
        name,
        el(
          "select",
          {
            "data-key": name,
            name,
            on: {
              change: (event) =>
                go({
                  ...NOWHERE,
                  [name]: event.target.value,
                  ...(name === "section" ? { rule: "" } : {}),
                }),
            },
          },
          ["", ...values(state)].map((value) => {
            const option = el("option", { value }, value || "all");
            option.selected = value === (state[name] || "");
            return option;
          }),
        ),
      ),
    ),
    el(
      "button",
      {
        type: "button",
        "data-key": "clear",
        on: {
          click: () =>
            go({ ...NOWHERE, subject: "", variant: "", section: "", rule: "", verdict: "" }),
        },
      },
      "Show all",
    ),
  ]);

let whole = false; // whether the list is shown to its end
const drawList = (state, chosen, current) =>
  draw("list", [filtersOf(state), whole, current, state.axis], () => {
    const several = (name) => new Set(index.cases.map((one) => one[name])).size > 1;
    const shown = whole ? chosen : chosen.slice(0, SHOWN);
    const entries = shown.map((one) => {
      const counts = WORST_FIRST.slice(0, 2).map((verdict) => [
        verdict,
        one.found.filter((found) => found.verdict === verdict).length,
      ]);
      const about = [
        ...(several("subject") ? [one.subject] : []),
        ...(several("variant") ? [one.variant] : []),
      ];
      return el(
        "li",
        {},
        el(
          "a",
          {
            href: address({ ...NOWHERE, case: key(one) }),
            "data-key": key(one),
            "aria-current": key(one) === current ? "true" : null,
          },
          el("span", { class: "mono" }, one.cassette),
          el("span", { class: "soft" }, about.join(" · ")),
          counts.some(([, count]) => count)
            ? counts
                .filter(([, count]) => count)
                .map(([verdict, count]) =>
                  el("span", { class: verdict }, `${SIGNS[verdict]} ${counted(count, verdict)}`),
                )
            : el("span", { class: "pass" }, `${SIGNS.pass} pass`),
        ),
      );
    });
    if (shown.length < chosen.length) {
      entries.push(
        el(
          "li",
          {},
          el(
            "button",
            {
              type: "button",
              on: {
                click: () => {
                  whole = true;
                  show();
                },
              },
            },
            `Show all ${counted(chosen.length, "case")}`,
          ),
        ),
      );
    }
    return entries;
  });

// --- a case: two lanes on one time axis --------------------------------------------------------

const unpack = async (number) => {
  const bytes = Uint8Array.from(atob($(`case-${number}`).textContent), (letter) =>
    letter.charCodeAt(0),
  );
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
};

const finding = (found, one, state) => {
  const there = found.turn && found.event !== null;
  const current = there && String(found.turn) === state.turn && String(found.event) === state.event;
  const side = (position, mark) =>
    found.diff.map(([kind, ...texts]) =>
      kind === "same" || !texts[position] ? texts[position] : el(mark, {}, texts[position]),
    );
  return el(
    "article",
    {
      class: `finding ${found.verdict === "gap" ? "is-gap" : ""}`,
      "aria-current": current ? "true" : null,
    },
    el(
      "h3",
      {},
      el("span", { class: found.verdict }, `${SIGNS[found.verdict]} ${found.verdict} `),
      `${found.rule} `,
      el("span", { class: "soft" }, found.level),
    ),
    el("p", {}, found.requirement),
    el(
      "dl",
      {},
      el("dt", {}, "expected"),
      el("dd", { class: "mono" }, side(0, "del")),
      el("dt", {}, "actual"),
      el("dd", { class: "mono" }, side(1, "ins")),
      el("dt", {}, "where"),
      el(
        "dd",
        {},
        there
          ? el(
              "a",
              {
                href: address({ case: key(one), turn: found.turn, event: found.event, chunk: "" }),
                "data-key": `${found.rule} ${found.turn} ${found.event}`,
              },
              found.where,
            )
          : found.where,
      ),
      found.reason ? [el("dt", {}, "known"), el("dd", {}, found.reason)] : null,
    ),
  );
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
    const passed = index.rules
      .filter((rule, at) => one.verdicts[at] === "p")
      .map((rule) => rule.id);
    return [
      ...one.found.map((found) => finding(found, one, state)),
      ...(one.skipped.length
        ? [
            el(
              "p",
              { class: "soft" },
              "Skipped: ",
              one.skipped
                .map(({ rule, reason }) => `${rule} (${reason || "no reason given"})`)
                .join(", "),
            ),
          ]
        : []),
      el(
        "p",
        { class: "pass" },
        `${SIGNS.pass} ${counted(passed.length, "rule")} held`,
        el("span", { class: "soft" }, passed.length ? `: ${passed.join(", ")}` : ""),
      ),
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
      timelines = turns.map(
        (turn, at) =>
          new Timeline(
            key(one),
            turn,
            at + 1,
            one.found.filter((found) => found.turn === at + 1),
            state,
          ),
      );
      const axis = el(
        "button",
        {
          type: "button",
          "data-key": "axis",
          "aria-pressed": String(state.axis === "order"),
          on: { click: () => go({ axis: read().axis === "order" ? "" : "order" }) },
        },
        "Evenly, in order of arrival",
      );
      return [
        el("div", { class: "tools" }, legend(), axis),
        ...timelines.map((timeline) => timeline.node),
      ];
    });
    document.documentElement.dataset.ready = stamp; // for who waits for the drawing
  }
  await unpacked;
  const now = read();
  for (const timeline of timelines) {
    const lane = now.event ? "event" : now.chunk ? "chunk" : null;
    timeline.point(
      lane && now.turn === String(timeline.number) ? { lane, number: Number(now[lane]) } : null,
    );
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
