// The connection to the server, and whether it still lives.

const silence = 4000; // ms without data until the page says that it is not live
const again = 5000; // ms until a new attempt where the browser gives up

export class Stream {
  /** station and tick take the events; lost(false) or lost(true, why) tells how the connection is. */
  constructor({ station, tick, lost }) {
    this.handlers = { station, tick };
    this.lost = lost;
    this.heard = performance.now();
    this.why = "";
    this.isLost = null;
    this.open();
    setInterval(() => this.check(), 1000);
    // A page in the background is not woken in time; what waited for it comes now.
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.grace = performance.now() + 2000;
    });
  }

  open() {
    const source = new EventSource("events");
    for (const kind of ["station", "tick"]) {
      source.addEventListener(kind, (event) => {
        const data = JSON.parse(event.data);
        this.heard = performance.now();
        this.why = "";
        this.handlers[kind](data);
        this.check();
      });
    }
    source.addEventListener("error", () => {
      this.check();
      if (source.readyState !== EventSource.CLOSED) return;
      source.close();
      this.explain();
      setTimeout(() => this.open(), again);
    });
  }

  /** Asks why the server refused: it may only have no room for one more page. */
  async explain() {
    try {
      const answer = await fetch("healthz", { cache: "no-store", signal: AbortSignal.timeout(3000) });
      this.why = answer.ok ? "The server lives, but has no room for another page: close one." : await answer.text();
    } catch {
      this.why = "";
    }
  }

  check() {
    const now = performance.now();
    if (this.grace && now < this.grace) return;
    const isLost = now - this.heard > silence;
    if (isLost || isLost !== this.isLost) this.lost(isLost, this.why);
    this.isLost = isLost;
  }
}
