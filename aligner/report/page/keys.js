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

  document.addEventListener("keydown", (event) => {
    const [target] = event.composedPath();
    if (help.open || target.matches("input, select, textarea")) return;
    if (event.ctrlKey && event.key === "z") {
      event.preventDefault();
      panel.undo();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    // A button that has the focus is pressed by these; a phone or word is heard again by either.
    const button = target.closest("button");
    if (button && !button.interval && (event.key === " " || event.key === "Enter")) return;
    const act = keys[event.key];
    if (!act || document.getElementById("panel").hidden) return;
    event.preventDefault();
    act(event);
  });
});
