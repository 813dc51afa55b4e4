// Numbers and times for people.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const clockFormat = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const dayFormat = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric" });

/** A value as [number, unit], or [dash, ""] where there is none. */
export function latency(seconds) {
  if (seconds === null || seconds === undefined) return ["–", ""];
  if (seconds < 0.01) return [tenths.format(seconds * 1e3), "ms"];
  if (seconds < 1) return [whole.format(seconds * 1e3), "ms"];
  return [tenths.format(seconds), "s"];
}

export function rate(perSecond) {
  if (perSecond === null || perSecond === undefined) return ["–", ""];
  return [perSecond > 0 && perSecond < 10 ? tenths.format(perSecond) : whole.format(perSecond), "/s"];
}

export function amount(count) {
  return count === null || count === undefined ? ["–", ""] : [whole.format(count), ""];
}

/** How long, in the largest units: "4 s", "12 min", "3 h 5 min", "6 days". */
export function span(milliseconds) {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} days`;
}

/** The time of day, with the date where it is not today. */
export function clock(date, now = new Date()) {
  const time = clockFormat.format(date);
  return date.toDateString() === now.toDateString() ? time : `${dayFormat.format(date)} ${time}`;
}

export function plural(count, one, more) {
  return `${whole.format(count)} ${count === 1 ? one : more}`;
}
