"use strict";
// The table of utterances. Only the rows that can be seen are in the page, so that any number opens at once.

Report.table = { view: [] };

Report.parts.push((data) => {
  const ROW = 34; // pixels, as in the style sheet
  const BESIDE = 15; // rows above and below what is seen
  const region = document.getElementById("rows");
  const [head] = region.querySelectorAll("thead tr");
  const [body] = region.querySelectorAll("tbody");
  const [table] = region.querySelectorAll("table");
  const search = document.getElementById("search");
  const filter = document.getElementById("filter");
  const { element } = Report;

  const several = new Set(Report.rows.map((row) => row.speaker)).size > 1;
  const has = (name) => Report.rows.some((row) => row[name] !== null && row[name] !== "");
  const number = (digits) => (value) => (value === null ? "" : value.toFixed(digits));
  const columns = [
    ["id", "Utterance", String],
    ...(several ? [["speaker", "Speaker", String]] : []),
    ["text", "Text", String],
    ["duration", "Seconds", number(2)],
    ...(has("score") ? [["score", "Score", number(2)]] : []),
    ...(has("error") ? [["error", "Error", number(1)], ["largestError", "Largest", number(0)]] : []),
    ...(has("difference")
      ? [["difference", "Apart", number(1)], ["largestDifference", "Most", number(0)]] : []),
    ...(has("suspicion") ? [["suspicion", "Suspicious", String]] : []),
  ];
  const numeric = new Set(["duration", "score", "error", "largestError", "difference", "largestDifference"]);
  const meanings = {
    score: "confidence, from 0 to 1",
    error: "mean error of the boundaries against the reference, in ms",
    largestError: "largest error, in ms",
    difference: "mean distance of the boundaries from those of the other run, in ms",
    largestDifference: "largest distance, in ms",
  };
  let sorted = { by: null, down: false };
  let first = -1;

  for (const [key, label] of columns) {
    const button = element("button", { type: "button", title: meanings[key] || "" }, label);
    button.addEventListener("click", () => {
      const down = sorted.by === key ? !sorted.down : key.startsWith("error") || key.startsWith("diff");
      sorted = { by: key, down };
      for (const th of head.children) {
        th.setAttribute("aria-sort", th.dataset.key === key ? (down ? "descending" : "ascending") : "none");
      }
      choose();
    });
    const th = element("th", { scope: "col", className: key, "aria-sort": "none" }, button);
    th.dataset.key = key;
    head.append(th);
  }

  // Which rows there are, in which order.
  function choose() {
    const words = search.value.toLocaleLowerCase().split(/\s+/).filter(Boolean);
    const { states } = Report.corrections;
    let view = Report.rows.filter((row) => words.every((word) => row.found.includes(word)));
    if (filter.value === "suspicious") view = view.filter((row) => row.suspicion);
    if (filter.value === "corrected") view = view.filter((row) => states.has(row.id));
    if (sorted.by) {
      const sign = sorted.down ? -1 : 1;
      const missing = (value) => value === null || value === "";
      view.sort((a, b) => {
        const [x, y] = [a[sorted.by], b[sorted.by]];
        if (missing(x) || missing(y)) return missing(x) - missing(y) || a.number - b.number;
        return sign * (numeric.has(sorted.by) ? x - y : x < y ? -1 : x > y ? 1 : 0) || a.number - b.number;
      });
    }
    Report.table.view = view;
    const place = new Map(view.map((row, index) => [row, index]));
    Report.table.place = place;
    document.getElementById("count").textContent = `${view.length} of ${data.figures.utterances}`;
    table.setAttribute("aria-rowcount", view.length + 1);
    first = -1;
    region.scrollTop = 0;
    paint();
  }

  function made(row, index) {
    const cells = columns.map(([key, , format]) => {
      if (key === "id") {
        const open = element("button", { type: "button", dir: "auto", title: row.id }, row.id);
        open.tabIndex = row === (Report.current || Report.table.view[0]) ? 0 : -1;
        const th = element("th", { scope: "row", className: "id" }, open);
        if (Report.corrections.states.has(row.id)) th.append(element("span", { className: "mark" }, " corrected"));
        return th;
      }
      const td = element("td", { className: key, dir: "auto", title: format(row[key]) }, format(row[key]));
      if (key === "score" && row.score !== null) {
        td.classList.add("scored");
        Report.colour(td, row.score);
      }
      return td;
    });
    const tr = element("tr", { "aria-rowindex": index + 2 }, ...cells);
    if (row === Report.current) tr.setAttribute("aria-current", "true");
    tr.dataset.number = row.number;
    return tr;
  }

  // Put the rows that can be seen into the page.
  function paint() {
    const { view } = Report.table;
    const top = Math.floor(region.scrollTop / ROW);
    const from = Math.max(0, top - BESIDE);
    if (from === first) return;
    if (first >= 0 && Math.abs(from - first) < BESIDE / 2 && from > 0) return;
    const to = Math.min(view.length, top + Math.ceil(region.clientHeight / ROW) + 2 * BESIDE);
    const focused = body.contains(document.activeElement);
    body.replaceChildren(...view.slice(from, to).map((row, index) => made(row, from + index)));
    table.style.paddingTop = `${from * ROW}px`;
    table.style.paddingBottom = `${(view.length - to) * ROW}px`;
    first = from;
    if (focused) focusCurrent();
  }

  function focusCurrent() {
    const tr = body.querySelector("[aria-current] button");
    if (tr) tr.focus({ preventScroll: true });
  }

  Report.table.repaint = () => { first = -1; paint(); };

  // Scroll so that the current row is seen.
  Report.table.reveal = () => {
    const index = Report.table.place.get(Report.current);
    if (index !== undefined) {
      const headHeight = head.offsetHeight;
      const [top, bottom] = [index * ROW, (index + 1) * ROW + headHeight];
      if (top < region.scrollTop) region.scrollTop = top;
      else if (bottom > region.scrollTop + region.clientHeight) region.scrollTop = bottom - region.clientHeight;
    }
    Report.table.repaint();
  };

  Report.table.step = (by) => {
    const { view, place } = Report.table;
    if (!view.length) return;
    const index = place.get(Report.current);
    const next = index === undefined ? 0 : Math.min(view.length - 1, Math.max(0, index + by));
    Report.panel.show(view[next]);
  };

  region.addEventListener("scroll", () => requestAnimationFrame(paint), { passive: true });
  new ResizeObserver(() => Report.table.repaint()).observe(region);
  body.addEventListener("click", (event) => {
    const tr = event.target.closest("tr");
    if (tr) Report.panel.show(Report.rows[Number(tr.dataset.number)]);
  });
  body.addEventListener("keydown", (event) => {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    event.stopPropagation();
    Report.table.step(by);
    focusCurrent();
  });
  search.addEventListener("input", choose);
  filter.addEventListener("change", choose);
  Report.corrections.changed.push(() => { if (filter.value === "corrected") choose(); else Report.table.repaint(); });
  choose();
});
