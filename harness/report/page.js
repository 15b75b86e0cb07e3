// The state of the page is its address: every control changes the hash, and every change of the
// hash draws what depends on it.

const SHOWN = 200; // cases in the list, before "Show all"

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
      const found = foundIn(state, one);
      const counts = WORST_FIRST.slice(0, 2).map((verdict) => [
        verdict,
        found.filter((each) => each.verdict === verdict).length,
      ]);
      const outcome = outcomeOf(one, wantedBy(state)) || "pass";
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
            : el("span", { class: outcome }, `${SIGNS[outcome]} ${outcome}`),
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
