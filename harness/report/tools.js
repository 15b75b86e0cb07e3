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
