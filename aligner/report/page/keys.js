"use strict";
// The keyboard, wherever the focus is but in a field.

Report.parts.push(() => {
  const help = document.getElementById("help");
  document.getElementById("show-help").addEventListener("click", () => help.showModal());

  const { panel, table } = Report;
  const keys = {
    j: () => table.step(1),
    k: () => table.step(-1),
    ArrowRight: (event) => panel.step(1, event.shiftKey ? "word" : "phone"),
    ArrowLeft: (event) => panel.step(-1, event.shiftKey ? "word" : "phone"),
    "+": () => panel.zoom(1.5),
    "=": () => panel.zoom(1.5),
    "-": () => panel.zoom(1 / 1.5),
    0: panel.fit,
    e: panel.focusEdge,
    w: panel.wrong,
    "/": () => document.getElementById("search").focus(),
    "?": () => help.showModal(),
    " ": panel.toggle,
    Enter: panel.hear,
  };

  // Whether a key presses the button that has the focus. A phone or word is heard again by either key; in the
  // table Enter opens an utterance, and the space bar plays it.
  function pressed(target, key) {
    const button = target.closest("button");
    if (!button || button.interval) return false;
    return key === "Enter" || (key === " " && !button.closest("tbody"));
  }

  document.addEventListener("keyup", (event) => {
    const [target] = event.composedPath();
    if (event.key === " " && target.closest && target.closest("tbody")) event.preventDefault();
  });

  document.addEventListener("keydown", (event) => {
    const [target] = event.composedPath();
    if (help.open || target.matches("input, select, textarea")) return;
    if (event.ctrlKey && event.key === "z") {
      event.preventDefault();
      panel.undo();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (pressed(target, event.key)) return;
    const act = keys[event.key];
    if (!act || document.getElementById("panel").hidden) return;
    event.preventDefault();
    act(event);
  });
});
