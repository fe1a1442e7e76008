"use strict";
// What a person corrected: for each utterance its times as they are now, which of them he set, and the words he
// marked as wrong. Kept in the browser until they are saved as a file.

Report.corrections = {
  states: new Map(), // by id
  unsaved: false,
  kept: true, // whether the browser keeps them when the page is closed
  changed: [], // called after every change

  put(id, state) {
    if (state) Report.corrections.states.set(id, state); else Report.corrections.states.delete(id);
    Report.corrections._note(true);
  },

  file() {
    const utterances = [];
    for (const [id, state] of Report.corrections.states) {
      const interval = ([, start, end, score]) => ({ start_s: start, end_s: end, score });
      utterances.push({
        id, duration_s: state.duration, speaker: state.speaker, score: state.score, text: state.text,
        audio: state.audio,
        words: state.words.map((word) => ({ text: word[0], ...interval(word) })),
        tokens: state.tokens.filter((token) => !token[5]).map(
          (token) => ({ symbol: token[0], ...interval(token), word: token[4] })),
        added_pauses: state.tokens.filter((token) => token[5]).map(interval),
        by_hand_s: state.byHand, wrong_words: state.wrong,
      });
    }
    return { format: "aligner corrections", utterances };
  },

  // The states in a file that this page wrote, of whatever report of the same corpus.
  read(text) {
    const data = JSON.parse(text);
    if (data.format !== "aligner corrections") throw new Error("it holds no corrections");
    let taken = 0;
    for (const one of data.utterances) {
      if (!Report.byId.has(one.id)) continue;
      const interval = (name) => (i) => [name ? i[name] : "sil", i.start_s, i.end_s, i.score];
      const tokens = one.tokens.map((token) => [...interval("symbol")(token), token.word, false]);
      const pauses = (one.added_pauses || []).map((pause) => [...interval("")(pause), -1, true]);
      Report.corrections.states.set(one.id, {
        duration: one.duration_s, speaker: one.speaker, score: one.score, text: one.text, audio: one.audio,
        words: one.words.map(interval("text")),
        tokens: [...tokens, ...pauses].sort((a, b) => a[1] - b[1] || a[2] - b[2]),
        byHand: one.by_hand_s, wrong: one.wrong_words,
      });
      taken += 1;
    }
    Report.corrections._note(false);
    return [taken, data.utterances.length];
  },

  _note(unsaved) {
    Report.corrections.unsaved = unsaved;
    try {
      localStorage.setItem(Report.corrections._key(), JSON.stringify([...Report.corrections.states]));
      Report.corrections.kept = true;
    } catch { Report.corrections.kept = false; } // full, or a browser that keeps nothing for files
    const count = Report.corrections.states.size;
    const save = document.getElementById("save");
    save.disabled = count === 0;
    save.textContent = count ? `Save corrections (${count})` : "Save corrections";
    for (const call of Report.corrections.changed) call();
  },

  _key: () => `aligner-report-${Report.key}`,
};

Report.parts.push(() => {
  const corrections = Report.corrections;
  try {
    const kept = localStorage.getItem(corrections._key());
    if (kept) corrections.states = new Map(JSON.parse(kept).filter(([id]) => Report.byId.has(id)));
  } catch { /* nothing is kept */ }
  if (corrections.states.size) corrections._note(true);

  document.getElementById("save").addEventListener("click", () => {
    const content = new Blob([JSON.stringify(corrections.file(), null, 1)], { type: "application/json" });
    const link = Report.element("a", { href: URL.createObjectURL(content), download: "corrections.json" });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    corrections.unsaved = false;
    Report.say(`${corrections.states.size} corrected utterances saved as corrections.json`);
  });

  const input = document.getElementById("open-file");
  document.getElementById("open").addEventListener("click", () => input.click());
  input.addEventListener("change", async () => {
    const [file] = input.files;
    input.value = "";
    if (!file) return;
    try {
      const [taken, of] = corrections.read(await file.text());
      Report.say(`corrections of ${taken} of ${of} utterances are in this report`);
      if (Report.current) Report.panel.show(Report.current);
    } catch (error) {
      Report.say(`${file.name} cannot be read: ${error.message}`);
    }
  });

  window.addEventListener("beforeunload", (event) => {
    if (corrections.unsaved && !corrections.kept) event.preventDefault();
  });
});
