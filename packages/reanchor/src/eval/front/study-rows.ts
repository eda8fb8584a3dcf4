/** The results of a study, results.jsonl of a sweep: a row for each measurement of a run. */
import { createHash } from 'node:crypto';
import { FormatError, type FormatPlace, shown } from '../../errors.js';
import { isRecord } from '../../formats/index.js';
import { textsOf } from './arms.js';
import type { MeasuredRow, MeasuredRun } from './measured-run.js';

/** Whether a row is one of a study's results; rows of single runs have a `method`. */
export const isStudyRow = (row: Readonly<Record<string, unknown>>) =>
  !('method' in row) && ('arm' in row || 'scores' in row);

/** The folder of a run below that of its study. */
export const runFolder = (arm: string, setting: string, seed: number) => `runs/${arm}/${setting}/seed-${seed}`;

/** A readable name of a folder, which no other setting has: `beta=0.1,lr=0.0003`. */
export function settingName(key: Readonly<Record<string, unknown>>): string {
  const entries = Object.entries(key);
  if (entries.length === 0) return 'base';
  const whole = entries.map(([path, value]) => `${path}=${JSON.stringify(value)}`).join(',');
  const short = entries
    .map(
      ([path, value]) =>
        `${path.split('.').at(-1)}=${typeof value === 'object' ? JSON.stringify(value) : String(value)}`,
    )
    .join(',');
  const plain = short
    .replace(/["{}[\]]/g, '')
    .replace(/[^\w.,=+-]+/g, '-')
    .slice(0, 80);
  const lasts = entries.map(([path]) => path.split('.').at(-1));
  const isClear = plain === short && new Set(lasts).size === lasts.length;
  return isClear ? plain : `${plain.slice(0, 60)}-${createHash('sha256').update(whole).digest('hex').slice(0, 8)}`;
}

const estimate = '{"mean": number, "se": number}';
const shape = `{"arm": text, "key": {"loss.beta": number, ...}, "seed": number, "step": number, "scores": {"NAME": ${estimate}}, "kl": ${estimate}}`;

/** A row of a study as it is told of any run. What is null was no finite number. Errors: FormatError. */
export function studyRow(row: Readonly<Record<string, unknown>>, file: string, place: FormatPlace): MeasuredRow {
  const { arm, key = {}, seed, step, scores, kl, ...others } = row;
  const wrong = (name: string): never => {
    const given = name in row ? `${name} ${shown(row[name])} is not allowed` : `no ${name}`;
    throw new FormatError(`not a result of a study: ${given}; a row is ${shape}`, place);
  };
  if (typeof arm !== 'string' || arm === '') return wrong('arm');
  if (!isRecord(key)) return wrong('key');
  if (!Number.isSafeInteger(seed)) return wrong('seed');
  if (!Number.isSafeInteger(step) || (step as number) < 0) return wrong('step');
  if (!isRecord(scores) || Object.keys(scores).length === 0) return wrong('scores');
  if (!Object.values(scores).every(isEstimate)) return wrong('scores');
  if (!isEstimate(kl)) return wrong('kl');
  const metrics: Record<string, number> = {};
  const add = (name: string, value: unknown) => {
    if (typeof value === 'number') metrics[name] = value;
  };
  for (const [name, value] of Object.entries(others)) add(name, value);
  for (const [name, { mean, se }] of Object.entries({ ...(scores as Record<string, Estimate>), kl })) {
    add(name, mean);
    add(`${name}_se`, se);
  }
  const keys = new Map(textsOf(key));
  const beta = keys.get('loss.beta');
  const words = [...keys].map(([path, text]) => `${path} ${text}`);
  return {
    settings: {
      ...{ name: [file, arm, ...words, `seed ${seed}`].join(' '), method: arm, base: arm, seed: String(seed), keys },
      ...{ beta: beta === undefined ? undefined : Number(beta), isOfStudy: true },
      folder: runFolder(arm, settingName(key), seed as number),
    },
    ...{ step: step as number, metrics },
  };
}

/** A mean and its standard error over prompts. */
interface Estimate {
  mean: number | null;
  se?: number | null;
}

function isEstimate(value: unknown): value is Estimate {
  const isNumber = (one: unknown) => one === null || typeof one === 'number';
  return isRecord(value) && isNumber(value.mean) && isNumber(value.se ?? null);
}

/**
 * The runs of a study named by what differs inside of an arm, and no more: what an arm is made of is in the study. The
 * others are compared with its first arm.
 */
export function asStudy(runs: readonly MeasuredRun[]): MeasuredRun[] {
  const differing = new Set<string>();
  for (const arm of new Set(runs.map(({ method }) => method))) {
    const some = runs.filter(({ method }) => method === arm);
    for (const path of some.flatMap(({ keys }) => [...keys!.keys()])) {
      if (new Set(some.map(({ keys }) => keys!.get(path))).size > 1) differing.add(path);
    }
  }
  differing.delete('loss.beta'); // Names have beta by themselves.
  return runs.map((run) => {
    return { ...run, base: runs[0]!.method, keys: new Map([...run.keys!].filter(([path]) => differing.has(path))) };
  });
}
