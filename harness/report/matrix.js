// The head, with a line for each subject, and the matrix: subject x section, or rule, x variant.

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
        { title: run.target || null },
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

// --- matrix -----------------------------------------------------------------------------------

const ABREAST = 8; // columns, of which all are shown
const columnsOf = new Map(
  index.subjects.map((subject) => {
    const own = index.cases.filter((one) => one.subject === subject);
    const variants = index.variants.filter((variant) => own.some((one) => one.variant === variant));
    return [
      subject,
      variants.map((variant, at) => ({
        subject,
        variant,
        first: at === 0,
        cases: own.filter((one) => one.variant === variant),
      })),
    ];
  }),
);
// Where there are too many, a subject is one column, until it is opened.
const folds = [...columnsOf.values()].flat().length > ABREAST && index.subjects.length > 1;
const isOpen = (state, subject) => !folds || state.open === subject;
const shownOf = (state, subject) => {
  const columns = columnsOf.get(subject);
  if (isOpen(state, subject)) return columns;
  return [{ subject, variant: "", first: true, cases: columns.flatMap((one) => one.cases) }];
};

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
        "aria-label": `${name}, ${column.subject}, ${column.variant || "all variants"}: ${outcome} in ${counts[outcome]} of ${counted(column.cases.length, "case")}`,
        title: `${column.subject}, ${column.variant || "all variants"}: ${WORST_FIRST.filter((one) => counts[one])
          .map((one) => `${one} ${counts[one]}`)
          .join(", ")}`,
      },
      verdict ? `${SIGNS[outcome]} ${counts[outcome]}` : SIGNS[outcome],
    ),
  );
};

const folder = (state, subject) =>
  el(
    "a",
    {
      href: address({ open: state.open === subject ? "" : subject }),
      "data-key": `open ${subject}`,
      "aria-expanded": String(state.open === subject),
      role: "button",
    },
    `${state.open === subject ? "▾" : "▸"} ${subject}`,
  );

const drawMatrix = (state) =>
  draw("matrix", [filtersOf(state), state.axis, state.open], () => {
    const columns = index.subjects.flatMap((subject) => shownOf(state, subject));
    const upright = columns.length > 6 ? "upright" : "";
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
            index.subjects.map((subject) =>
              el(
                "th",
                { scope: "colgroup", colspan: shownOf(state, subject).length, class: "first" },
                folds ? folder(state, subject) : subject,
              ),
            ),
          ),
          el(
            "tr",
            {},
            columns.map((column) =>
              el(
                "th",
                {
                  scope: "col",
                  class: `${column.variant && upright} ${column.first ? "first" : ""}`,
                },
                column.variant || counted(columnsOf.get(column.subject).length, "variant"),
              ),
            ),
          ),
        ),
        el("tbody", {}, rows),
      ),
    ];
  });
