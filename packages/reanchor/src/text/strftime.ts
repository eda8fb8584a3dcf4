/** Dates as text: Python's `strftime` in English, whatever the machine's language. */

const months = 'January February March April May June July August September October November December'.split(' ');
const days = 'Sunday Monday Tuesday Wednesday Thursday Friday Saturday'.split(' ');

/** A number and how many digits it is filled up to, or a text. */
type Part = readonly [value: number, width: number, fill?: string] | string;

/** Days from the first of January, from 0. */
const dayOfYear = (date: Date) =>
  Math.round(
    (Date.UTC(date.getFullYear(), date.getMonth(), date.getDate()) - Date.UTC(date.getFullYear(), 0, 1)) / 864e5,
  );

/** The number of the week whose first day is `first` (0 for Sunday); days before the first one are week 0. */
const week = (date: Date, first: number) => Math.floor((dayOfYear(date) + 7 - ((date.getDay() - first + 7) % 7)) / 7);

/** The year and week of ISO 8601, whose weeks belong to the year of their Thursday. */
function isoWeek(date: Date): { year: number; week: number } {
  const thursday = new Date(date.getFullYear(), date.getMonth(), date.getDate() + 3 - ((date.getDay() + 6) % 7));
  return { year: thursday.getFullYear(), week: Math.floor(dayOfYear(thursday) / 7) + 1 };
}

const parts: Readonly<Record<string, (date: Date) => Part>> = {
  a: (date) => days[date.getDay()]!.slice(0, 3),
  A: (date) => days[date.getDay()]!,
  b: (date) => months[date.getMonth()]!.slice(0, 3),
  B: (date) => months[date.getMonth()]!,
  c: (date) => strftime(date, '%a %b %e %H:%M:%S %Y'),
  C: (date) => [Math.floor(date.getFullYear() / 100), 2],
  d: (date) => [date.getDate(), 2],
  D: (date) => strftime(date, '%m/%d/%y'),
  e: (date) => [date.getDate(), 2, ' '],
  f: (date) => [date.getMilliseconds() * 1000, 6],
  F: (date) => strftime(date, '%Y-%m-%d'),
  g: (date) => [isoWeek(date).year % 100, 2],
  G: (date) => [isoWeek(date).year, 4],
  h: (date) => months[date.getMonth()]!.slice(0, 3),
  H: (date) => [date.getHours(), 2],
  I: (date) => [date.getHours() % 12 || 12, 2],
  j: (date) => [dayOfYear(date) + 1, 3],
  k: (date) => [date.getHours(), 2, ' '],
  l: (date) => [date.getHours() % 12 || 12, 2, ' '],
  m: (date) => [date.getMonth() + 1, 2],
  M: (date) => [date.getMinutes(), 2],
  n: () => '\n',
  p: (date) => (date.getHours() < 12 ? 'AM' : 'PM'),
  P: (date) => (date.getHours() < 12 ? 'am' : 'pm'),
  r: (date) => strftime(date, '%I:%M:%S %p'),
  R: (date) => strftime(date, '%H:%M'),
  s: (date) => [Math.floor(date.getTime() / 1000), 1],
  S: (date) => [date.getSeconds(), 2],
  t: () => '\t',
  T: (date) => strftime(date, '%H:%M:%S'),
  u: (date) => [date.getDay() || 7, 1],
  U: (date) => [week(date, 0), 2],
  V: (date) => [isoWeek(date).week, 2],
  w: (date) => [date.getDay(), 1],
  W: (date) => [week(date, 1), 2],
  x: (date) => strftime(date, '%m/%d/%y'),
  X: (date) => strftime(date, '%H:%M:%S'),
  y: (date) => [date.getFullYear() % 100, 2],
  Y: (date) => [date.getFullYear(), 1],
  // Python's `now` knows no time zone.
  z: () => '',
  Z: () => '',
  '%': () => '%',
};

/** A date in a format, with the flags of glibc: `%-d` without zeros, `%^b` in capitals. Errors: Error for others. */
export function strftime(date: Date, format: string): string {
  return format.replace(/%([-_0^#]?)([\s\S]?)/g, (all, flag: string, name: string) => {
    const part = parts[name]?.(date);
    if (part === undefined) throw new Error(`strftime_now does not know ${all}`);
    if (typeof part === 'string') return inCase(part, name, flag);
    const [value, width, fill = '0'] = part;
    const filler = { '-': '', _: ' ', 0: '0' }[flag] ?? fill;
    return filler === '' ? String(value) : String(value).padStart(width, filler);
  });
}

/** `^` writes capitals; `#` does for names, and small letters for AM and PM. */
function inCase(text: string, name: string, flag: string): string {
  if (flag === '#' && name === 'p') return text.toLowerCase();
  const isUpper = flag === '^' ? name !== 'P' : flag === '#' && 'aAbBh'.includes(name);
  return isUpper ? text.toUpperCase() : text;
}
