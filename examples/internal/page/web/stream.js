// The connection to the server, and whether it is lost.

const timeout = 4000; // ms without data until the page is not live
const retryPause = 5000; // ms until a new attempt where the browser makes none

export class Stream {
  /** Calls station and tick with events, and lost(false) or lost(true, why) when the connection changes. */
  constructor({ station, tick, lost }) {
    this.handlers = { station, tick };
    this.lost = lost;
    this.heard = performance.now();
    this.why = "";
    this.isLost = null;
    this.open();
    setInterval(() => this.check(), 1000);
    // A page in the background gets its events late, when it is shown again.
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
      setTimeout(() => this.open(), retryPause);
    });
  }

  /** Finds out why the server rejected the page: it may only have no room for another one. */
  async explain() {
    try {
      const answer = await fetch("healthz", { cache: "no-store", signal: AbortSignal.timeout(3000) });
      this.why = answer.ok ? "The server runs, but has no room for another page: close one." : await answer.text();
    } catch {
      this.why = "";
    }
  }

  check() {
    const now = performance.now();
    if (this.grace && now < this.grace) return;
    const isLost = now - this.heard > timeout;
    if (isLost || isLost !== this.isLost) this.lost(isLost, this.why);
    this.isLost = isLost;
  }
}
