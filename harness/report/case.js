// One case: what was found in it, and its two lanes on one time axis.

const unpack = async (number) => {
  const bytes = Uint8Array.from(atob($(`case-${number}`).textContent), (letter) =>
    letter.charCodeAt(0),
  );
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
};

const isAt = (found, state) =>
  found.turn &&
  found.event !== null &&
  String(found.turn) === state.turn &&
  String(found.event) === state.event;

// What one fault says: in the words of expected and actual those that differ are marked.
const account = (found, one, state) => {
  const side = (position, mark) =>
    found.diff.map(([kind, ...texts]) =>
      kind === "same" || !texts[position] ? texts[position] : el(mark, {}, texts[position]),
    );
  const link = () =>
    el(
      "a",
      {
        href: address({ case: key(one), turn: found.turn, event: found.event, chunk: "" }),
        "data-key": `${found.rule} ${found.turn} ${found.event}`,
      },
      found.where,
    );
  return el(
    "dl",
    { "aria-current": isAt(found, state) ? "true" : null },
    el("dt", {}, "expected"),
    el("dd", { class: "mono" }, side(0, "del")),
    el("dt", {}, "actual"),
    el("dd", { class: "mono" }, side(1, "ins")),
    el("dt", {}, "where"),
    el("dd", {}, found.turn && found.event !== null ? link() : found.where),
    found.reason ? [el("dt", {}, "known"), el("dd", {}, found.reason)] : null,
  );
};

// A rule that was broken, with the first fault; those of its kind can be unfolded.
const finding = (alike, one, state) => {
  const [first, ...others] = alike;
  return el(
    "article",
    {
      class: `finding ${first.verdict === "gap" ? "is-gap" : ""}`,
      "aria-current": alike.some((found) => isAt(found, state)) ? "true" : null,
    },
    el(
      "h3",
      {},
      el("span", { class: first.verdict }, `${SIGNS[first.verdict]} ${first.verdict} `),
      `${first.rule} `,
      el("span", { class: "soft" }, first.level),
    ),
    el("p", {}, first.requirement),
    account(first, one, state),
    others.length
      ? el(
          "details",
          { open: others.some((found) => isAt(found, state)) ? "" : null },
          el("summary", {}, `${others.length.toLocaleString("en")} more of ${first.rule}`),
          others.map((found) => account(found, one, state)),
        )
      : null,
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
    // Those that are looked at come first.
    const all = new Set([...foundIn(state, one), ...one.found]);
    const alike = Object.values(
      Object.groupBy(all, (found) => `${found.rule} ${found.verdict} ${found.level}`),
    );
    const passed = index.rules
      .filter((rule, at) => one.verdicts[at] === "p")
      .map((rule) => rule.id);
    return [
      ...alike.map((found) => finding(found, one, state)),
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
