"use strict";
// Spectrogram, words and phones under the waveform. They are children of wavesurfer's wrapper, which is as wide
// as the whole recording, and lie at per cents of it: that way all of them line up at every zoom. Only what is
// near the visible part is in the page.

// tiers: [{ name, kind: "word" | "phone", intervals, model }], intervals [symbol, start, end, score, ...]; those
// with a model can be corrected. on: { select(tier, index), corrected() }.
Report.tiers = (wavesurfer, duration, strips, tiers, on) => {
  const RULES = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300]; // seconds between times
  const RULE_PIXELS = 60; // at least, between times
  const LEAST_PIXELS = 3; // a narrower phone is not shown: zoom in to see it
  const { element } = Report;
  const wrapper = wavesurfer.getWrapper();
  const root = element("div", { part: "tiers" });
  const spectrogram = element("div", { part: "spectrogram", role: "img", "aria-label": "Spectrogram" });
  const place = (node, start, end) => {
    node.style.left = `${(100 * start) / duration}%`;
    node.style.width = `${(100 * (end - start)) / duration}%`;
  };
  let range = [0, 0]; // what is in the page
  let width = 0; // of the wrapper, when it was last laid out
  let narrow = false; // whether something is left out because it is too narrow to be seen
  let selected = null; // { tier, index }
  let nodes = []; // [node, layout function]

  const ruler = element("div", { part: "ruler", "aria-hidden": "true" });
  wrapper.append(ruler);
  if (strips.length) root.append(spectrogram);
  for (const tier of tiers) {
    tier.row = element("div", { part: `row ${tier.kind}s`, role: "group", "aria-label": tier.name });
    root.append(element("div", { part: "caption" }, element("span", { part: "caption-text" }, tier.name)), tier.row);
  }
  wrapper.append(root);
  // What is done here is not a click on the waveform.
  for (const name of ["click", "dblclick", "pointerdown"]) {
    root.addEventListener(name, (event) => event.stopPropagation());
  }
  spectrogram.addEventListener("click", (event) => {
    const box = wrapper.getBoundingClientRect();
    wavesurfer.setTime((duration * (event.clientX - box.left)) / box.width);
  });

  function visible() {
    const whole = wrapper.clientWidth || 1;
    const start = (wavesurfer.getScroll() / whole) * duration;
    return [start, start + (wavesurfer.getWidth() / whole) * duration];
  }

  function paint() {
    const [start, end] = visible();
    const beside = end - start;
    range = [start - beside, end + beside];
    const least = (LEAST_PIXELS * duration) / wrapper.clientWidth;
    const near = ([, from, to]) => to >= range[0] && from <= range[1];
    narrow = false;
    const wide = ([, from, to]) => to - from >= least || !(narrow = true);
    nodes = [];
    const pictures = strips.filter((strip) => near(["", strip.start_s, strip.end_s])).map((strip) => {
      const image = element("img", { src: `data:image/jpeg;base64,${strip.jpeg}`, alt: "", draggable: false, part: "strip" });
      place(image, strip.start_s, strip.end_s);
      return image;
    });
    spectrogram.replaceChildren(...pictures);
    for (const tier of tiers) {
      const made = [];
      tier.intervals.forEach((interval, index) => {
        if (near(interval) && wide(interval)) made.push(box(tier, interval, index));
      });
      if (tier.model) {
        for (const point of tier.model.points(tier.kind)) {
          const [low, high] = tier.model.limits(point);
          if (near(["", point.time, point.time]) && high - low > 2 * least) made.push(edge(tier, point));
        }
      }
      tier.row.replaceChildren(...made);
    }
    layout();
  }

  function said(tier, [symbol, start, end, score], index) {
    const wrong = tier.model && tier.kind === "word" && tier.model.isWrong(index) ? ", marked as wrong" : "";
    const sure = score === null || score === undefined ? "" : `, score ${score.toFixed(2)}`;
    return `${tier.kind} ${symbol}, ${start.toFixed(3)} to ${end.toFixed(3)} s, ${Math.round(1000 * (end - start))} ms${sure}${wrong}`;
  }

  function box(tier, interval, index) {
    const node = element("button", { type: "button", tabIndex: -1, textContent: interval[0], dir: "auto" });
    Report.colour(node, interval[3] ?? null);
    node.addEventListener("click", () => on.select(tier, index));
    node.interval = interval;
    nodes.push([node, () => {
      const is = selected && selected.tier === tier && selected.index === index;
      const wrong = tier.model && tier.kind === "word" && tier.model.isWrong(index);
      const scored = interval[3] !== null && interval[3] !== undefined;
      const parts = ["box", tier.kind, scored && "scored", is && "selected", wrong && "wrong",
        !tier.model && "fixed"].filter(Boolean);
      node.setAttribute("part", parts.join(" "));
      node.setAttribute("aria-label", said(tier, interval, index));
      node.setAttribute("aria-pressed", String(Boolean(is)));
      node.tabIndex = is || (!selected && tier === tiers[0] && index === 0) ? 0 : -1;
      place(node, interval[1], interval[2]);
    }]);
    return node;
  }

  // A boundary that can be dragged, or moved by keys.
  function edge(tier, point) {
    const node = element("div", { role: "slider", tabIndex: -1 });
    node.point = point;
    nodes.push([node, () => {
      const [low, high] = tier.model.limits(point);
      const room = (Math.min(point.time - low, high - point.time) * width) / duration;
      const held = tier.model.isHeld(point);
      node.setAttribute("part", held ? "edge held" : "edge");
      node.setAttribute("aria-label", `boundary ${point.between}${held ? ", set by hand" : ""}`);
      node.setAttribute("aria-orientation", "horizontal");
      node.setAttribute("aria-valuemin", low.toFixed(4));
      node.setAttribute("aria-valuemax", high.toFixed(4));
      node.setAttribute("aria-valuenow", point.time.toFixed(4));
      node.setAttribute("aria-valuetext", Report.seconds(point.time));
      node.tabIndex = selected && tier === selected.tier && selectedEnds().includes(point.time) ? 0 : -1;
      node.style.left = `${(100 * point.time) / duration}%`;
      // Of a short phone at least a part stays to be clicked.
      node.style.setProperty("--grip", `${Math.min(13, Math.max(3, 0.6 * room))}px`);
    }]);
    node.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      event.preventDefault();
      node.setPointerCapture(event.pointerId);
      node.focus({ preventScroll: true });
      const from = point.time;
      const offset = timeAt(event) - from;
      const drag = (move) => { tier.model.move(point, timeAt(move) - offset); layout(); };
      const drop = () => {
        node.removeEventListener("pointermove", drag);
        if (point.time !== from) { tier.model.commit(point, from); on.corrected(); }
      };
      node.addEventListener("pointermove", drag);
      for (const name of ["pointerup", "pointercancel"]) node.addEventListener(name, drop, { once: true });
    });
    node.addEventListener("keydown", (event) => {
      const direction = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!direction || event.ctrlKey || event.altKey || event.metaKey) return;
      event.preventDefault();
      event.stopPropagation();
      const from = point.time;
      tier.model.move(point, from + direction * (event.shiftKey ? 0.001 : 0.005));
      if (point.time !== from) { tier.model.commit(point, from); layout(); on.corrected(); }
    });
    return node;
  }

  function timeAt(event) {
    const area = wrapper.getBoundingClientRect();
    return (duration * (event.clientX - area.left)) / area.width;
  }

  function selectedEnds() {
    const interval = selected.tier.intervals[selected.index];
    return interval ? [interval[1], interval[2]] : [];
  }

  // Times above the waveform.
  function rule() {
    const step = RULES.find((seconds) => (seconds * wrapper.clientWidth) / duration >= RULE_PIXELS) || RULES.at(-1);
    const times = [];
    for (let count = Math.max(0, Math.ceil(range[0] / step)); count * step <= Math.min(range[1], duration); count += 1) {
      const time = count * step;
      const node = element("span", { part: "time" }, String(Math.round(time * 1000) / 1000));
      node.style.left = `${(100 * time) / duration}%`;
      times.push(node);
    }
    ruler.replaceChildren(...times);
  }

  function layout() {
    if (width !== wrapper.clientWidth || ruler.range !== range) rule();
    ruler.range = range;
    width = wrapper.clientWidth; // read once: after every style that is set it would be worked out anew
    for (const [, set] of nodes) set();
  }

  return {
    paint,
    layout,
    // After a scroll or a zoom: only what is new is put into the page, so that a drag goes on.
    follow() {
      const [start, end] = visible();
      const zoomed = wrapper.clientWidth !== width;
      const much = range[1] - range[0] > 9 * (end - start);
      if (start < range[0] || end > range[1] || much || (zoomed && narrow)) paint();
      else if (zoomed) layout();
    },
    select(tier, index) { selected = tier ? { tier, index } : null; layout(); },
    focusBox() {
      const found = nodes.find(([node]) => node.interval && node.tabIndex === 0);
      if (found) found[0].focus({ preventScroll: true });
    },
    focusEdge() {
      const found = nodes.find(([node]) => node.point && node.tabIndex === 0);
      if (found) found[0].focus({ preventScroll: true });
    },
    hasFocus: () => root.contains(root.getRootNode().activeElement),
    remove() { root.remove(); ruler.remove(); },
  };
};

// The times of an utterance as a person corrects them. A point is a time at which intervals meet; when it moves,
// all that begin or end there do, phones and words alike.
Report.model = (state) => {
  const SAME = 1e-6;
  const LEAST = 0.001; // what is left of an interval
  const { tokens, words, duration } = state;
  const key = (time) => Math.round(time / SAME);
  const points = new Map();

  function add(list, kind) {
    list.forEach((interval, index) => {
      for (const end of [1, 2]) {
        const time = interval[end];
        if (time <= SAME || time >= duration - SAME) continue;
        const point = points.get(key(time)) || { time, moves: [], kinds: new Set(), between: "" };
        points.set(key(time), point);
        point.moves.push([interval, end]);
        point.kinds.add(kind);
        if (!point.between || kind === "phone") {
          point.between = end === 2 ? `after ${interval[0]}` : `${point.between || ""} before ${interval[0]}`.trim();
        }
      }
    });
  }
  add(words, "word");
  add(tokens, "phone");
  const ordered = [...points.values()].sort((a, b) => a.time - b.time);
  ordered.forEach((point, index) => { point.index = index; });

  return {
    points: (kind) => ordered.filter((point) => point.kinds.has(kind)),
    limits(point) {
      const low = point.index ? ordered[point.index - 1].time : 0;
      const high = point.index + 1 < ordered.length ? ordered[point.index + 1].time : duration;
      return [Math.min(point.time, low + LEAST), Math.max(point.time, high - LEAST)];
    },
    move(point, time) {
      const [low, high] = this.limits(point);
      point.time = Math.round(Math.min(high, Math.max(low, time)) * 10000) / 10000;
      for (const [interval, end] of point.moves) interval[end] = point.time;
    },
    commit(point, from) {
      state.byHand = state.byHand.filter((time) => key(time) !== key(from) && key(time) !== key(point.time));
      state.byHand = [...state.byHand, point.time].sort((a, b) => a - b);
    },
    isHeld: (point) => state.byHand.some((time) => key(time) === key(point.time)),
    isWrong: (index) => state.wrong.includes(index),
    toggleWrong(index) {
      state.wrong = state.wrong.includes(index) ? state.wrong.filter((other) => other !== index)
        : [...state.wrong, index].sort((a, b) => a - b);
    },
  };
};
