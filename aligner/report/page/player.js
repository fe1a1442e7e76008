"use strict";
// Plays samples from memory, from exactly one time to exactly another: a media element hears of a time only now
// and then, which is later than a phone is long. To wavesurfer it looks like a media element.

Report.Player = class extends EventTarget {
  constructor() {
    super();
    this.buffer = null; // AudioBuffer
    this.duration = NaN; // seconds
    this.paused = true;
    this.ended = false;
    this.seeking = false;
    this.error = null;
    this.src = "";
    this.currentSrc = "";
    this.volume = 1;
    this.muted = false;
    this.autoplay = false;
    this._rate = 1;
    this._at = 0; // where it stands, or where it began to play
    this._until = null;
    this._since = 0; // the context's time then
    this._source = null;
  }

  get currentTime() {
    if (this.paused) return this._at;
    const played = Math.max(0, this._context.currentTime - this._since) * this._rate;
    return Math.min(this._at + played, this._until);
  }

  set currentTime(time) {
    const goesOn = !this.paused;
    if (goesOn) this._stop();
    this._at = Math.min(Math.max(0, time), this.duration || Infinity);
    if (goesOn) this._start(this.duration);
    for (const name of ["seeking", "seeked", "timeupdate"]) this._say(name);
  }

  get playbackRate() { return this._rate; }

  set playbackRate(rate) {
    const [goesOn, until] = [!this.paused, this._until];
    if (goesOn) this._stop();
    this._rate = rate;
    if (goesOn) this._start(until);
    this._say("ratechange");
  }

  async play() { if (this.paused) this.playPart(this._at >= this.duration ? 0 : this._at, this.duration); }

  // From a time to another, in seconds, to the sample.
  playPart(start, end) {
    if (!this.buffer) return;
    if (!this.paused) this._stop();
    this._at = start;
    this._start(end);
    this._say("play");
    this._say("playing");
  }

  pause() {
    if (this.paused) return;
    this._stop();
    this._say("pause");
  }

  load() {}

  canPlayType() { return "probably"; }

  removeAttribute() {}

  setAttribute() {}

  remove() { this.pause(); }

  _start(end) {
    // Made with the first sound: browsers want a person's click or key before it.
    this._context = this._context || new AudioContext();
    this._context.resume();
    const source = this._context.createBufferSource();
    source.buffer = this.buffer;
    source.playbackRate.value = this._rate;
    source.connect(this._context.destination);
    this._since = this._context.currentTime;
    this._until = Math.min(end, this.duration);
    source.start(this._since, this._at, this._until - this._at);
    source.onended = () => {
      if (source !== this._source) return; // another has begun
      const until = this._until;
      this._source = null;
      this.paused = true;
      this._at = until;
      this._say("timeupdate");
      this._say("pause");
      if (until >= this.duration) this._say("ended");
    };
    this._source = source;
    this.paused = false;
  }

  _stop() {
    this._at = this.currentTime;
    this.paused = true;
    const source = this._source;
    this._source = null;
    source.stop();
    source.disconnect();
  }

  _say(name) { this.dispatchEvent(new Event(name)); }
};
