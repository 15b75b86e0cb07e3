// What the parts of the page are made with. All text goes in as text, never as markup.

const $ = (id) => document.getElementById(id);
const OUTCOMES = { f: "fault", g: "gap", s: "skipped", p: "pass" };
const SIGNS = { fault: "✕", gap: "△", skipped: "–", pass: "✓" };
const WORST_FIRST = Object.values(OUTCOMES);

const build = (node, attributes, children) => {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name === "on")
      for (const [event, act] of Object.entries(value)) node.addEventListener(event, act);
    else if (value !== undefined && value !== null && value !== false)
      node.setAttribute(name, value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return node;
};
const el = (name, attributes, ...children) =>
  build(document.createElement(name), attributes, children);
const svg = (name, attributes, ...children) =>
  build(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
const counted = (count, what) => `${count.toLocaleString("en")} ${what}${count === 1 ? "" : "s"}`;
const milliseconds = (value) => `${Number(value.toFixed(value < 100 ? 1 : 0))} ms`;

const read = () => Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
const address = (change) => {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries({ ...read(), ...change }))
    if (value !== "") parameters.set(name, value);
  return `#${parameters}`;
};
const go = (change) => {
  location.hash = address(change);
};

// Draws a part anew where what it depends on has changed, and gives the focus back.
const drawn = new Map();
const draw = (id, depends, children) => {
  const seen = JSON.stringify(depends);
  if (drawn.get(id) === seen) return;
  drawn.set(id, seen);
  const had = $(id).contains(document.activeElement) ? document.activeElement.dataset.key : null;
  $(id).replaceChildren(...children());
  if (had)
    [...$(id).querySelectorAll("[data-key]")].find((one) => one.dataset.key === had)?.focus();
};

// --- what the report holds ---------------------------------------------------------------------

const index = JSON.parse($("index").textContent);
const NOWHERE = { case: "", turn: "", event: "", chunk: "" };
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

const byRule = new Map(index.rules.map((rule) => [rule.id, rule]));
// What was found in a case of the rules that are looked at.
const foundIn = (state, one) => one.found.filter((found) => wantedBy(state)(byRule.get(found.rule)));

const chosenCases = (state) => {
  const wanted = wantedBy(state);
  const faults = new Map(
    index.cases.map((one) => [
      one,
      foundIn(state, one).filter((found) => found.verdict === "fault").length,
    ]),
  );
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
    .sort((one, other) => faults.get(other) - faults.get(one));
};
