// SPDX-License-Identifier: Apache-2.0

const grouped = new Intl.NumberFormat("en-US");

/** A whole number with separators for thousands. */
export const count = (n) => grouped.format(Math.round(n));

/** Any number with about four significant digits. */
export function value(n) {
  if (!Number.isFinite(n)) return String(n);
  if (Number.isInteger(n)) return grouped.format(n);
  return Math.abs(n) >= 1000 ? grouped.format(Math.round(n)) : String(Number(n.toPrecision(4)));
}

/** A number short enough for an axis. */
export function tick(n) {
  for (const [size, suffix] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
    if (Math.abs(n) >= size) return Number((n / size).toPrecision(3)) + suffix;
  }
  return String(Number(n.toPrecision(3)));
}

/** A time of day, from seconds since the Unix epoch. */
export const time = (t) => new Date(1000 * t).toLocaleTimeString("en-GB");

/** Bytes in binary units. */
export function size(n) {
  if (n >= 1 << 20) return (n / (1 << 20)).toFixed(1) + " MiB";
  if (n >= 1 << 10) return (n / (1 << 10)).toFixed(1) + " KiB";
  return n + " B";
}

/** Seconds as mm:ss. */
export function clock(seconds) {
  const two = (n) => String(Math.floor(n)).padStart(2, "0");
  return two(seconds / 60) + ":" + two(seconds % 60);
}

/** A label set as Prometheus writes it. */
export function series(metric) {
  const { __name__: name = "", ...labels } = metric;
  const pairs = Object.entries(labels).sort().map(([k, v]) => `${k}=${JSON.stringify(v)}`);
  return pairs.length || !name ? `${name}{${pairs.join(", ")}}` : name;
}
