"use strict";
// One utterance: its waveform, tiers and controls.

Report.parts.push(() => {
  const { element } = Report;
  const part = (id) => document.getElementById(id);
  const panel = part("panel");
  const MOST_PIXELS = 8000; // a second, at the largest zoom
  const FIRST_PIXELS = 200; // a second, when it opens: phones can be read
  const media = new Report.Player();
  let wavesurfer = null;
  let view = null; // of Report.tiers
  let content = null; // of the utterance
  let state = null; // its times and marks, as corrected
  let history = []; // earlier states, the last one last
  let previous = null; // the state before the change that is being made
  let tiers = [];
  let selected = null; // { tier, index }
  let pixels = FIRST_PIXELS;
  let sounds = false; // whether there is something to play

  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const colours = () => ({ waveColor: style("--wave"), progressColor: style("--played"), cursorColor: style("--cursor") });

  function bytes(base64) {
    if (Uint8Array.fromBase64) return Uint8Array.fromBase64(base64);
    const chars = atob(base64);
    const made = new Uint8Array(chars.length);
    for (let place = 0; place < chars.length; place += 1) made[place] = chars.charCodeAt(place);
    return made;
  }

  function prepare() {
    if (wavesurfer) return;
    wavesurfer = WaveSurfer.create({
      container: part("wave"), height: 100, barHeight: 0.8, media, normalize: true, cursorWidth: 2,
      cspNonce: "wavesurfer", minPxPerSec: FIRST_PIXELS, ...colours(),
    });
    wavesurfer.on("scroll", () => view && view.follow());
    wavesurfer.on("timeupdate", clock);
    wavesurfer.on("play", () => { part("play").textContent = "Pause"; });
    wavesurfer.on("pause", () => { part("play").textContent = "Play"; });
    wavesurfer.on("finish", () => { part("play").textContent = "Play"; });
    wavesurfer.on("redraw", () => view && view.follow());
  }

  function clock() {
    part("clock").textContent = `${wavesurfer.getCurrentTime().toFixed(3)} / ${state.duration.toFixed(3)} s`;
  }

  function fresh(row, alignment) {
    return {
      duration: content.duration_s, speaker: row.speaker, score: row.score, text: row.text, audio: content.audio,
      words: structuredClone(alignment.words), tokens: structuredClone(alignment.tokens),
      byHand: [...(alignment.by_hand || [])], wrong: [...(alignment.wrong || [])],
    };
  }

  function shown(row) {
    Report.current = row;
    panel.hidden = false;
    part("name").textContent = row.id;
    part("text").textContent = row.text;
    const remarks = [];
    if (row.speaker) remarks.push(`speaker ${row.speaker}`);
    if (row.score !== null) remarks.push(`score ${row.score.toFixed(3)}`);
    if (row.error !== null) remarks.push(`error ${row.error} ms, at most ${row.largestError} ms`);
    if (row.difference !== null) remarks.push(`${row.difference} ms from the other run, at most ${row.largestDifference} ms`);
    if (row.suspicion) remarks.push(`suspicious: ${row.suspicion}`);
    part("remarks").textContent = remarks.join(" · ");
    try { address(row); } catch { /* a browser that keeps file addresses as they are */ }
    Report.table.reveal();
  }

  function address(row) { window.history.replaceState(null, "", `#${encodeURIComponent(row.id)}`); }

  Report.panel = {
    show(row) {
      media.pause();
      shown(row);
      Report.load(row, (loaded) => { if (Report.current === row) open(row, loaded); },
        (reason) => Report.say(`${row.id} cannot be shown: ${reason}`));
    },
    // What the keys do.
    toggle: () => sounds && (media.paused ? media.play() : media.pause()),
    hear,
    step,
    zoom: (by) => zoom(pixels * by),
    fit: () => zoom(0),
    focusEdge: () => view && view.focusEdge(),
    wrong,
    undo,
    media,
    get state() { return state; },
  };

  function open(row, loaded) {
    content = loaded;
    history = [];
    const corrected = Report.corrections.states.get(row.id);
    const symbols = (list) => JSON.stringify(list.map((interval) => interval[0]));
    const fits = corrected && symbols(corrected.tokens) === symbols(loaded.alignment.tokens)
      && symbols(corrected.words) === symbols(loaded.alignment.words);
    if (corrected && !fits) {
      Report.say(`${row.id}: its corrections are of another alignment and are not shown`);
    }
    state = fits ? structuredClone(corrected) : fresh(row, loaded.alignment);
    state.duration = loaded.duration_s;
    prepare();
    media.pause();
    media.buffer = null;
    media.duration = state.duration;
    media.currentTime = 0;
    const sound = loaded.sound;
    sounds = Boolean(sound);
    const flat = new Float32Array(2);
    let peaks = [flat, flat];
    if (sound) {
      const both = Float32Array.from(new Int8Array(bytes(sound.peaks).buffer), (value) => value / 127);
      peaks = [both.subarray(0, both.length / 2), both.subarray(both.length / 2)];
      decode(row, sound);
    } else Report.say(`${row.id} has no sound: ${loaded.no_sound}`);
    if (view) view.remove();
    view = null;
    wavesurfer.load("", peaks, state.duration).then(() => { if (Report.current === row) draw(); });
    part("play").disabled = part("play-selected").disabled = !sounds;
  }

  // The samples as they are: what is played begins and ends at exactly the sample that a boundary names.
  function decode(row, sound) {
    new OfflineAudioContext(1, 1, sound.rate_hz).decodeAudioData(bytes(sound.flac).buffer).then((buffer) => {
      if (Report.current === row) { media.buffer = buffer; panel.dataset.ready = row.id; }
    }, (error) => Report.say(`${row.id} cannot be played: ${error.message}`));
  }

  function draw() {
    if (view) view.remove();
    const model = Report.model(state);
    const found = (name, kind, intervals, own) => (intervals && intervals.length
      ? [{ name, kind, intervals, model: own }] : []);
    const { reference, other } = content;
    tiers = [
      ...found("words", "word", state.words, model),
      ...found("phones", "phone", state.tokens, model),
      ...(reference ? found("reference words", "word", reference.words) : []),
      ...(reference ? found("reference phones", "phone", reference.tokens) : []),
      ...(other ? found("words of the other run", "word", other.words) : []),
      ...(other ? found("phones of the other run", "phone", other.tokens) : []),
    ];
    const strips = content.sound ? content.sound.strips : [];
    view = Report.tiers(wavesurfer, state.duration, strips, tiers, { select: choose, corrected });
    zoom(pixels);
    view.paint();
    chooseNone();
    buttons();
    clock();
  }

  function chooseNone() {
    selected = null;
    view.select(null);
    part("selected").textContent = "Click a phone or a word to hear it.";
    part("wrong").disabled = true;
  }

  function word() {
    if (!selected || !selected.tier.model) return -1;
    return selected.tier.kind === "word" ? selected.index : selected.tier.intervals[selected.index][4];
  }

  function choose(tier, index) {
    selected = { tier, index };
    view.select(tier, index);
    describe();
    reveal();
    hear();
  }

  // Half of such boundaries are off by less; nobody says it of a reference or of what a person moved.
  function within(time) {
    const found = selected.tier.model && content.alignment.spreads.find(([at]) => at === time);
    return found && found[1] > 0 ? ` (±${Math.round(1000 * found[1])} ms)` : "";
  }

  function describe() {
    const [symbol, start, end, score] = selected.tier.intervals[selected.index];
    const sure = score === null || score === undefined ? "" : ` · score ${score.toFixed(2)}`;
    part("selected").textContent = `${selected.tier.name}: ${symbol} · ${start.toFixed(3)}${within(start)}–${end.toFixed(3)}${within(end)} s · ${Math.round(1000 * (end - start))} ms${sure}`;
    const own = word();
    part("wrong").disabled = own < 0;
    part("wrong").setAttribute("aria-pressed", String(own >= 0 && state.wrong.includes(own)));
  }

  // Scroll so that the selected interval is seen.
  function reveal() {
    const [, start, end] = selected.tier.intervals[selected.index];
    const perSecond = wavesurfer.getWrapper().clientWidth / state.duration;
    const [left, right, width] = [start * perSecond, end * perSecond, wavesurfer.getWidth()];
    const scroll = wavesurfer.getScroll();
    if (left < scroll || right > scroll + width) wavesurfer.setScroll(Math.max(0, (left + right - width) / 2));
    view.follow();
    view.focusBox();
  }

  function hear() {
    if (!selected || !sounds) return;
    const [, start, end] = selected.tier.intervals[selected.index];
    if (end > start) media.playPart(start, end);
  }

  // Step to another phone or word.
  function step(by, kind) {
    if (!view || !tiers.length) return;
    const same = selected && selected.tier.kind === kind && selected.tier;
    const tier = same || tiers.find((one) => one.kind === kind) || tiers[0];
    let index = 0;
    if (same) index = selected.index + by;
    else {
      const time = selected ? selected.tier.intervals[selected.index][1] : wavesurfer.getCurrentTime();
      index = Math.max(0, tier.intervals.findIndex(([, , end]) => end > time + 1e-6));
    }
    if (index >= 0 && index < tier.intervals.length) choose(tier, index);
  }

  function zoom(wanted) {
    if (!wavesurfer || !state) return;
    const width = wavesurfer.getWidth();
    const fit = width / state.duration;
    const before = wavesurfer.getWrapper().clientWidth / state.duration;
    const middle = (wavesurfer.getScroll() + width / 2) / before;
    pixels = Math.min(MOST_PIXELS, Math.max(fit, wanted));
    wavesurfer.zoom(pixels);
    wavesurfer.setScroll(Math.max(0, middle * pixels - width / 2));
    if (view) view.follow();
  }

  function corrected() {
    keep();
    if (selected) describe();
    hear();
  }

  // What was changed, so that it can be undone, saved, and found again when the utterance is opened again.
  function keep() {
    history.push(structuredClone(previous));
    previous = structuredClone(state);
    Report.corrections.put(Report.current.id, structuredClone(state));
    buttons();
  }

  function buttons() {
    if (!history.length) previous = structuredClone(state);
    part("undo").disabled = !history.length;
    part("revert").disabled = !Report.corrections.states.has(Report.current.id);
  }

  function restore(to) {
    const again = selected && { place: tiers.indexOf(selected.tier), index: selected.index };
    const before = fresh(Report.current, content.alignment);
    state = to || before;
    const same = JSON.stringify(state) === JSON.stringify(before);
    Report.corrections.put(Report.current.id, same ? null : structuredClone(state));
    const scroll = wavesurfer.getScroll();
    const past = history;
    draw();
    history = past;
    previous = structuredClone(state);
    wavesurfer.setScroll(scroll);
    if (again && tiers[again.place]) {
      selected = { tier: tiers[again.place], index: again.index };
      view.select(selected.tier, selected.index);
      describe();
    }
    buttons();
  }

  function undo() { if (history.length) restore(history.pop()); }

  function wrong() {
    const own = word();
    if (own < 0) return;
    selected.tier.model.toggleWrong(own);
    view.layout();
    keep();
    describe();
  }

  part("play").addEventListener("click", () => Report.panel.toggle());
  part("play-selected").addEventListener("click", hear);
  part("speed").addEventListener("change", () => wavesurfer.setPlaybackRate(Number(part("speed").value)));
  part("zoom-in").addEventListener("click", () => zoom(pixels * 1.5));
  part("zoom-out").addEventListener("click", () => zoom(pixels / 1.5));
  part("zoom-fit").addEventListener("click", () => zoom(0));
  part("previous").addEventListener("click", () => Report.table.step(-1));
  part("next").addEventListener("click", () => Report.table.step(1));
  part("wrong").addEventListener("click", wrong);
  part("undo").addEventListener("click", undo);
  part("revert").addEventListener("click", () => { history = []; restore(null); });
  part("wave").addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    zoom(pixels * (event.deltaY < 0 ? 1.2 : 1 / 1.2));
  }, { passive: false });
  window.addEventListener("themechange", () => { if (wavesurfer) wavesurfer.setOptions(colours()); });

  const named = Report.byId.get(decodeURIComponent(location.hash.slice(1)));
  const first = named || Report.table.view[0];
  if (first) Report.panel.show(first);
});
