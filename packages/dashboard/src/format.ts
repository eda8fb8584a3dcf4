/** Numbers, times and texts as the page writes them. */

/** A number in four significant digits at most: 1,234, 0.6931, 1.2e-7. */
export function number(value: number | null | undefined): string {
  if (value === null || value === undefined) return '–';
  if (!Number.isFinite(value)) return String(value);
  if (value === 0) return '0';
  const size = Math.abs(value);
  const short = Number(value.toPrecision(4));
  if (size >= 1e15 || size < 1e-4) return short.toExponential();
  if (size >= 1e9) return `${short / 1e9} G`;
  if (size >= 1e6) return `${short / 1e6} M`;
  return size >= 1000 ? whole(short) : String(short);
}

/** A mean with its standard error, where it has one: 4.731 ± 0.31. */
export const estimate = (mean: number, error: number | null | undefined) =>
  `${number(mean)}${error === null || error === undefined ? '' : ` ± ${number(Number(error.toPrecision(2)))}`}`;

/** A number with its sign, which a change has. */
export const signed = (value: number) => `${value > 0 ? '+' : ''}${number(value)}`;

export const whole = (value: number) => value.toLocaleString('en-US');
/** A count: to the last one, as long as that is short. */
export const count = (value: number) => (value < 1e6 ? whole(value) : number(value));
export const percent = (share: number) => `${Math.round(share * 100)} %`;

/** `3 minutes ago`, or the date. */
export function ago(iso: string, now = Date.now()): string {
  const seconds = (now - Date.parse(iso)) / 1000;
  if (!Number.isFinite(seconds)) return '';
  if (seconds < 60) return 'just now';
  const units: [number, string][] = [
    [86_400, 'day'],
    [3600, 'hour'],
    [60, 'minute'],
  ];
  for (const [size, name] of units) {
    const count = Math.floor(seconds / size);
    if (count > 30 && name === 'day') return date(iso);
    if (count >= 1) return `${count} ${name}${count === 1 ? '' : 's'} ago`;
  }
  return date(iso);
}

export const date = (iso: string) => `${iso.slice(0, 10)} ${iso.slice(11, 16)} UTC`;

/** `45 s`, `12 min 5 s`, `3 h 7 min`. */
export function duration(seconds: number): string {
  const all = Math.round(seconds);
  if (all < 60) return `${all} s`;
  if (all < 3600) return `${Math.floor(all / 60)} min ${all % 60} s`;
  return `${Math.floor(all / 3600)} h ${Math.floor((all % 3600) / 60)} min`;
}

/** The last part of a path. */
export const baseName = (path: string) => path.split(/[\\/]/).filter(Boolean).at(-1) ?? path;

/** A model's folder in a word or two; `final`, or the name of a checkpoint, says nothing of which run it is. */
export function modelName(path: string): string {
  const parts = path.split(/[\\/]/).filter(Boolean);
  const last = parts.at(-1) ?? path;
  const [, step] = /^step-0*(\d+)$/.exec(last) ?? [];
  if (step !== undefined && parts.at(-2) === 'checkpoints' && parts.length > 2) return `${parts.at(-3)}, step ${step}`;
  return last === 'final' && parts.length > 1 ? parts.at(-2)! : last;
}

/** Names of runs without the folders that they all lie in. */
export function shortNames(ids: readonly string[]): string[] {
  const paths = ids.map((id) => id.split('/'));
  let common = 0;
  while (ids.length > 1 && paths.every((path) => path.length > common + 1 && path[common] === paths[0]![common])) {
    common += 1;
  }
  return paths.map((path) => path.slice(common).join('/'));
}
