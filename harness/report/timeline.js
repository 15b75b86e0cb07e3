// One turn: what the provider sent above, what came of it below, on one axis.

const KINDS = ["lifecycle", "reasoning", "text", "call", "other"];
const kindOf = ([, type]) => {
  if (/reasoning/.test(type)) return "reasoning";
  if (/output_text|refusal|content_part/.test(type)) return "text";
  if (/_call/.test(type)) return "call";
  return /^response\.(created|in_progress|queued|completed|incomplete|failed|output_item\.)/.test(
    type,
  ) || type === "error"
    ? "lifecycle"
    : "other";
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
  const all = Object.entries(times).flatMap(([lane, list]) =>
    list.map((at, number) => ({ lane, at, number })),
  );
  all.sort(
    (one, other) =>
      one.at - other.at ||
      (one.lane < other.lane ? -1 : one.lane > other.lane ? 1 : one.number - other.number),
  );
  all.forEach((one, place) => {
    times[one.lane][one.number] = place;
  });
  return { ...times, first: 0, last: Math.max(1, all.length - 1) };
};

const stepOf = (span, count) => {
  const rough = span / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
};

const legend = () =>
  el(
    "p",
    { class: "legend", "aria-hidden": "true" },
    ["chunk", ...KINDS].map((kind) =>
      el(
        "span",
        {},
        svg(
          "svg",
          { viewBox: "0 0 12 12" },
          svg("path", { d: "M6 0V12", class: `stroke-${kind}` }),
        ),
        kind,
      ),
    ),
  );

class Timeline {
  constructor(name, turn, number, found, state) {
    Object.assign(this, { name, turn, number, found, zoom: 1, at: null });
    this.places = placesOf(turn, state.axis === "order");
    this.evenly = state.axis === "order";
    this.readout = el("output", { class: "mono soft" });
    this.detail = el("pre", { tabindex: 0, "aria-label": `What came, turn ${number}` });
    this.lanes = el("div", {
      class: "lanes",
      tabindex: 0,
      role: "group",
      "data-key": `lanes ${number}`,
      "aria-label":
        `Timeline of turn ${number}: ${counted(turn.chunks.length, "chunk")} above, ${counted(turn.events.length, "event")} below, ` +
        `${counted(found.length, "fault")}. Left and right go from one to the next, up and down between the lanes, N to the next fault.`,
      on: { keydown: (event) => this.key(event) },
    });
    const button = (text, act) => el("button", { type: "button", on: { click: act } }, text);
    this.node = el(
      "div",
      { class: "turn" },
      el(
        "h3",
        {},
        `Turn ${number} `,
        el(
          "span",
          { class: "soft" },
          `${counted(turn.chunks.length, "chunk")}, ${counted(turn.events.length, "event")}`,
        ),
      ),
      this.lanes,
      el(
        "div",
        { class: "tools" },
        button("◀ previous", () => this.step(-1)),
        button("next ▶", () => this.step(1)),
        found.length ? button("next fault", () => this.nextFault()) : null,
        button("+ zoom in", () => this.scale(2)),
        button("− zoom out", () => this.scale(0.5)),
        this.readout,
      ),
      this.detail,
    );
    this.paint();
    new ResizeObserver(() => {
      if (this.lanes.clientWidth !== this.painted) this.paint();
    }).observe(this.lanes);
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
      paths.chunk.push(
        `M${this.x("chunk", number).toFixed(1)} ${bottom}V${(bottom - 6 - ((bottom - top - 6) * Math.log1p(size)) / most).toFixed(1)}`,
      ),
    );
    this.turn.events.forEach((event, number) =>
      paths[kindOf(event)].push(
        `M${this.x("event", number).toFixed(1)} ${LANES.event[0]}V${LANES.event[1]}`,
      ),
    );
    this.cursor = svg("path", { class: "chosen", d: "" });
    const marks = this.found.map((found) => {
      const x =
        this.turn.events.length === 0
          ? EDGE
          : this.x("event", Math.min(found.event ?? Infinity, this.turn.events.length - 1));
      const gap = found.verdict === "gap" ? "gap" : "";
      return [
        svg("path", { class: `span ${gap}`, d: `M${x.toFixed(1)} ${LANES.chunk[0]}V142` }),
        svg(
          "path",
          { class: `mark ${gap}`, d: `M${x.toFixed(1)} 132l6 11h-12z` },
          svg("title", {}, `${found.rule}: ${found.requirement}`),
        ),
      ];
    });
    this.drawing = svg(
      "svg",
      {
        width: this.width,
        viewBox: `0 0 ${this.width} 176`,
        "aria-hidden": "true",
        on: {
          pointermove: (event) => this.hover(event),
          pointerleave: () => this.say(this.at),
          click: (event) => this.choose(this.near(event)),
        },
      },
      svg("text", { x: EDGE, y: 14 }, "provider's chunks"),
      svg("text", { x: EDGE, y: 82 }, "reconstructed events"),
      svg("path", {
        class: "axis",
        d: `M0 ${LANES.chunk[1]}H${this.width}M0 ${LANES.event[1]}H${this.width}`,
      }),
      this.axis(),
      Object.entries(paths).map(([kind, path]) =>
        svg("path", { class: `stroke-${kind}`, d: path.join("") }),
      ),
      marks,
      this.cursor,
    );
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
      labels.push(
        svg("path", { class: "axis", d: `M${x} 150v5` }),
        svg(
          "text",
          { x, y: 168, "text-anchor": end ? "end" : x > EDGE + 30 ? "middle" : "start" },
          this.evenly ? `${Math.round(at)}` : milliseconds(at),
        ),
      );
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

  hover(event) {
    this.say(this.near(event));
  }

  say(at) {
    this.readout.textContent = at ? this.describe(at) : "";
  }

  describe({ lane, number }) {
    if (lane === "chunk") {
      const [time, size] = this.turn.chunks[number];
      return `chunk ${number} · ${counted(size, "byte")} · ${milliseconds(time)}`;
    }
    const [time, type] = this.turn.events[number];
    const faults = this.found
      .filter((found) => found.event === number)
      .map((found) => ` · ${SIGNS[found.verdict]} ${found.rule}`);
    return `event ${number} · ${type || "without type"} · ${milliseconds(time)}${faults.join("")}`;
  }

  choose(at) {
    if (at)
      go({
        case: this.name,
        turn: String(this.number),
        event: at.lane === "event" ? String(at.number) : "",
        chunk: at.lane === "chunk" ? String(at.number) : "",
      });
  }

  step(by) {
    const { lane, number } = this.at || {
      lane: this.turn.events.length ? "event" : "chunk",
      number: by > 0 ? -1 : Infinity,
    };
    const count = this.places[lane].length;
    if (count) this.choose({ lane, number: Math.min(count - 1, Math.max(0, number + by)) });
  }

  nextFault() {
    const numbers = [
      ...new Set(this.found.map((found) => found.event ?? this.turn.events.length - 1)),
    ].sort((one, other) => one - other);
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
      ArrowLeft: () => this.step(-1),
      ArrowRight: () => this.step(1),
      Home: () => this.choose(this.at && { ...this.at, number: 0 }),
      End: () => this.choose(this.at && { ...this.at, number: last }),
      ArrowUp: () => this.change("chunk"),
      ArrowDown: () => this.change("event"),
      n: () => this.nextFault(),
      "+": () => this.scale(2),
      "-": () => this.scale(0.5),
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
    this.choose({
      lane,
      number: later < 0 ? this.places[lane].length - 1 : Math.max(0, later - 1),
    });
  }

  point(at) {
    this.at = at && at.number < this.places[at.lane].length ? at : null;
    this.say(this.at);
    if (!this.at) {
      this.cursor.setAttribute("d", "");
      this.detail.textContent = "";
      return;
    }
    const x = this.x(this.at.lane, this.at.number);
    this.cursor.setAttribute(
      "d",
      `M${x.toFixed(1)} ${LANES[this.at.lane][0] - 4}V${LANES[this.at.lane][1] + 4}`,
    );
    if (x < this.lanes.scrollLeft || x > this.lanes.scrollLeft + this.lanes.clientWidth)
      this.lanes.scrollLeft = x - this.lanes.clientWidth / 2;
    const [, , content] = this.turn[`${this.at.lane}s`][this.at.number];
    this.detail.textContent =
      typeof content === "string" ? content : JSON.stringify(content, null, 2);
  }
}
