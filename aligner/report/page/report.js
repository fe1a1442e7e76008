"use strict";
// What all parts of the page share. The data come as scripts: index.js calls Report.index, and data/N.js, which
// is loaded when utterance N is opened, calls Report.receive. Everything people wrote is set as textContent.

const Report = {
  rows: [],
  order: "score",
  current: null, // the row that the panel shows
  parts: [], // called with the index when it is there

  index(data) {
    Report.key = data.key;
    Report.order = data.order;
    Report.title = data.title;
    Report.rows = data.rows.map((row, number) => ({
      number,
      id: row[0], speaker: row[1], text: row[2], duration: row[3], score: row[4],
      error: row[5], largestError: row[6], difference: row[7], largestDifference: row[8], suspicion: row[9],
      found: `${row[0]}\n${row[1]}\n${row[2]}`.toLocaleLowerCase(),
    }));
    Report.byId = new Map(Report.rows.map((row) => [row.id, row]));
    for (const part of Report.parts) part(data);
  },

  // Calls `then(content)` with the utterance's data, or `failed(reason)`.
  load(row, then, failed) {
    const known = Report._loaded.get(row.number);
    if (known) return then(known);
    const script = document.createElement("script");
    script.src = `data/${row.number}.js`;
    script.onload = () => {
      script.remove();
      const content = Report._loaded.get(row.number);
      if (content) then(content); else failed("its file is damaged");
    };
    script.onerror = () => { script.remove(); failed("its file is missing"); };
    document.head.append(script);
  },

  receive(number, content) {
    Report._loaded.set(number, content);
    if (Report._loaded.size > Report.KEPT) Report._loaded.delete(Report._loaded.keys().next().value);
  },

  KEPT: 10, // utterances in memory
  _loaded: new Map(),

  say(text) { document.getElementById("status").textContent = text; },

  seconds(time) { return `${time.toFixed(3)} s`; },

  // An element with properties, styles and data; children are elements or text.
  element(name, properties = {}, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(properties)) {
      if (key.startsWith("aria-") || key === "role" || key === "dir" || key === "part") {
        made.setAttribute(key, value);
      } else made[key] = value;
    }
    made.append(...children);
    return made;
  },

  // A score as a colour: the style sheet mixes it.
  colour(element, score) {
    if (score === null) return;
    element.style.setProperty("--score", `${Math.round(100 * Math.min(1, Math.max(0, score)))}%`);
  },
};
