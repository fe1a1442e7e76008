"use strict";
// The figures of all utterances.

Report.parts.push((data) => {
  const { element } = Report;
  const section = document.getElementById("figures");
  const { figures } = data;

  function table(caption, header, rows) {
    const line = (kind, cells) => element("tr", {}, ...cells.map((cell, index) => {
      const text = cell === null ? "" : String(cell);
      return kind === "th" ? element("th", { scope: "col" }, text)
        : index ? element("td", { dir: "auto" }, text) : element("th", { scope: "row", dir: "auto" }, text);
    }));
    const made = element("table", {}, element("caption", {}, caption),
      element("thead", {}, line("th", header)), element("tbody", {}, ...rows.map((row) => line("td", row))));
    return element("div", { className: "wide", tabIndex: 0, role: "region", "aria-label": caption }, made);
  }

  // Bars of how many there are from score 0 to 1.
  function histogram(caption, counts) {
    if (!counts.length) return "";
    const most = Math.max(...counts);
    const total = counts.reduce((sum, count) => sum + count, 0);
    const bars = counts.map((count, index) => {
      const bar = element("span", { className: "bar", title: `${(index / counts.length).toFixed(2)}: ${count}` });
      bar.style.height = `${(100 * count) / most}%`;
      Report.colour(bar, (index + 0.5) / counts.length);
      return bar;
    });
    const low = counts.slice(0, counts.length / 2).reduce((sum, count) => sum + count, 0);
    const said = `${total} in all, ${low} of them below 0.5`;
    return element("figure", {},
      element("div", { className: "bars", role: "img", "aria-label": `${caption}: ${said}` }, ...bars),
      element("figcaption", {}, `${caption}, from 0 to 1: ${said}`));
  }

  const minutes = (seconds) => (seconds >= 3600 ? `${(seconds / 3600).toFixed(2)} h` : `${(seconds / 60).toFixed(1)} min`);
  const facts = [
    ["utterances", figures.utterances === Report.rows.length ? figures.utterances
      : `${figures.utterances}, ${Report.rows.length} in the table`],
    ["audio", minutes(figures.audio_s)],
    ["of it pauses", `${minutes(figures.pause_s)} (${Math.round((100 * figures.pause_s) / figures.audio_s)} %)`],
    ["speakers", figures.speakers.length],
    ["words", figures.words],
    ["phones", figures.phones],
    ["refused", data.refused.count],
    ["suspicious", data.suspicious],
    ["without sound", data.silent.count],
  ];
  section.append(element("dl", { className: "facts" },
    ...facts.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, String(value))))));

  for (const [name, found] of [["Boundary errors against the reference", figures.errors],
    ["How far the two runs are apart", figures.differences]]) {
    if (found) {
      section.append(table(`${name}, ${found.utterances} utterances`, found.header, found.rows),
        element("p", {}, found.legend));
    }
  }
  section.append(element("div", { className: "histograms" },
    histogram("Scores of utterances", figures.scores.utterances),
    histogram("Scores of phones", figures.scores.phones)));
  if (figures.phone_lengths.length) {
    section.append(table("How long phones are, in ms",
      ["phone", "times", "5 % are shorter", "median", "5 % are longer", "longest"], figures.phone_lengths));
  }
  section.append(table("Speakers", ["speaker", "utterances", "seconds", "mean score", "mean error, ms"],
    figures.speakers.map(([name, ...rest]) => [name || "(no speaker)", ...rest])));
  for (const [name, found] of [["Refused", data.refused], ["Without sound", data.silent]]) {
    if (found.count) {
      section.append(table(`${name}: ${found.count}`, ["utterance", "reason"], found.listed));
    }
  }

  const views = { utterances: document.getElementById("show-utterances"), figures: document.getElementById("show-figures") };
  for (const [name, button] of Object.entries(views)) {
    button.addEventListener("click", () => {
      for (const [other, its] of Object.entries(views)) its.setAttribute("aria-pressed", String(other === name));
      section.hidden = name !== "figures";
      document.getElementById("utterances").hidden = name !== "utterances";
      document.getElementById("panel").hidden = name !== "utterances" || !Report.current;
    });
  }
});
