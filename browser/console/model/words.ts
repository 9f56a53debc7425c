// Numbers as people read them: short, and of one width where they change.

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Seconds as `12 s`, `3 min`, `2 h 5 min`, `4 d 3 h`. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < MINUTE) {
    return `${whole} s`;
  }
  if (whole < HOUR) {
    return `${Math.floor(whole / MINUTE)} min`;
  }
  const [large, small, per] = whole < DAY ? (["h", "min", [HOUR, MINUTE]] as const) : (["d", "h", [DAY, HOUR]] as const);
  const rest = Math.floor((whole % per[0]) / per[1]);
  return `${Math.floor(whole / per[0])} ${large}${rest > 0 ? ` ${rest} ${small}` : ""}`;
}

/** Microseconds as `0.4 ms`, `12 ms`, `1.2 s`; 0 is not known yet. */
export function roundTrip(us: number): string {
  if (us === 0) {
    return "";
  }
  const ms = us / 1000;
  if (ms >= 1000) {
    return `${(ms / 1000).toFixed(1)} s`;
  }
  return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
}

export function bytes(size: number | bigint): string {
  let value = Number(size);
  for (const unit of ["B", "KB", "MB"]) {
    if (value < 1000) {
      return `${value < 10 && unit !== "B" ? value.toFixed(1) : Math.round(value)} ${unit}`;
    }
    value /= 1024;
  }
  return `${value.toFixed(1)} GB`;
}

/** A count, with thin spaces between thousands. */
export function count(number: number | bigint): string {
  return String(number).replace(/\B(?=(\d{3})+$)/g, "\u202f");
}

/** Per second. */
export function rate(perSecond: number): string {
  if (perSecond === 0) {
    return "0";
  }
  return perSecond < 10 ? perSecond.toFixed(1) : count(Math.round(perSecond));
}

/** A time of day in the reader's zone, to the tenth of a second. */
export function clock(ms: number): string {
  const at = new Date(ms);
  const two = (number: number) => String(number).padStart(2, "0");
  const tenth = Math.floor(at.getMilliseconds() / 100);
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${tenth}`;
}

/** A day and a time of day, to the minute. */
export function date(ms: number): string {
  const at = new Date(ms);
  const two = (number: number) => String(number).padStart(2, "0");
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}`;
}

/** `1 actor`, `2 actors`. */
export function many(number: number, one: string): string {
  return `${count(number)} ${one}${number === 1 ? "" : "s"}`;
}

/** An id without its realm, which all have in common. */
export function short(id: string): string {
  return id.slice(0, Math.max(0, id.lastIndexOf(":"))) || id;
}
