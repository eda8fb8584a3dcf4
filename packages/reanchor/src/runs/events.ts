/**
 * Events of a run: typed, one JSON line each in `events.jsonl`; the console, the file and a dashboard see the same
 * ones.
 *
 * JSON has no NaN or infinity. Where an event holds a measured number, these are written as the strings "NaN",
 * "Infinity" and "-Infinity" and read back as numbers, so that a diverged run is recorded as what it was.
 */
import * as z from 'zod';
import { FormatError, UserError, unreadable } from '../errors.js';
import { readFileSync } from '../formats/index.js';

/** A number that was measured. */
export const measured = z.codec(
  z.union([z.number(), z.literal(['NaN', 'Infinity', '-Infinity'])]),
  z.custom<number>((value) => typeof value === 'number'),
  {
    decode: (written) => Number(written),
    encode: (value) => (Number.isFinite(value) ? value : (String(value) as 'NaN' | 'Infinity' | '-Infinity')),
  },
);
const metrics = z.record(z.string(), measured);
const count = z.int().min(0);

/** ISO 8601, UTC, milliseconds. */
const time = z.iso.datetime();

/** The schema of one event; decoding gives numbers for "NaN" and the infinities, encoding the reverse. */
export const eventSchema = z.discriminatedUnion('type', [
  /**
   * The run begins: the optimizer steps planned, the rows trained and evaluated on, the policy's parameters, and how
   * often the reference will move, where that is known beforehand.
   */
  z.strictObject({
    time,
    type: z.literal('start'),
    steps: count,
    rows: count,
    validationRows: count,
    parameters: count,
    /** Those that an adapter trains, which are among them. */
    trained: count.optional(),
    referenceUpdates: count.optional(),
  }),
  /**
   * Means over the steps since the last logged one; of a state, such as the learning rate, its last value.
   * Names are TRL's where TRL has one: `loss`, `grad_norm` (before clipping), `learning_rate` (the one used),
   * `rewards/chosen|rejected|margins` (beta times nats), `rewards/accuracies` (share of pairs, ties counting half),
   * `logps/chosen|rejected` (nats, summed over a completion), `num_tokens` (since the start). Ours:
   * `logps/accuracies` (likewise), `reference/distance` (L2, policy to reference), `reference/divergence` (of the
   * step's reference from the initial policy, nats per token, where a cap on it is set), `reference/truncation` (what
   * an update of an adapter cut off to keep its rank, as a share of the distance), `reference/version` (updates so
   * far), `tokens_per_second`, `memory/peak` (bytes: resident memory of the process, on a GPU those of its tensors),
   * `memory/live_tensors`. `epoch` counts passes over the data as a fraction.
   */
  z.strictObject({ time, type: z.literal('step'), step: count, epoch: z.number(), metrics }),
  /**
   * The reference moved after a step; `share` is that of the policy in it. Distances are L2, policy to reference,
   * before and after the update; a cached reference has none.
   */
  z.strictObject({
    time,
    type: z.literal('reference'),
    step: count,
    version: count,
    update: z.enum(['soft', 'hard', 'mixed', 'plateau']),
    share: z.number(),
    distanceBefore: measured.optional(),
    distanceAfter: measured.optional(),
  }),
  /**
   * An evaluation after a step (0: before training), with the metric names of a step; of answers that the policy has
   * written also `kl/initial|reference` (nats an answer), `kl/*_error`, `kl/*_token`, `diversity/*`, `length/*`
   * (tokens): `driver/generated-evaluation.ts`.
   */
  z.strictObject({ time, type: z.literal('evaluation'), step: count, metrics }),
  /** What the policy writes after a step: a few of the answers that were measured, to the same prompts each time. */
  z.strictObject({
    time,
    type: z.literal('samples'),
    step: count,
    samples: z.array(z.strictObject({ prompt: z.string(), completion: z.string() })),
  }),
  /** A row that is not trained or evaluated on; `line` counts from 1, `index` from 0. */
  z.strictObject({ time, type: z.literal('skipped'), reason: z.string(), file: z.string(), line: count, index: count }),
  z.strictObject({ time, type: z.literal('warning'), message: z.string() }),
  /** The run has ended with an error, after so many steps. */
  z.strictObject({ time, type: z.literal('failed'), step: count, message: z.string() }),
  /** The run ends after a step although others were planned, by `stop` of its recipe; `message` says why. */
  z.strictObject({ time, type: z.literal('stopped'), step: count, message: z.string() }),
  /** A checkpoint after a step is whole and on disk. */
  z.strictObject({ time, type: z.literal('checkpoint'), step: count, folder: z.string() }),
  /**
   * The run goes on from the checkpoint of a step, or from its beginning; `steps` are those that are planned. What
   * had been written after that checkpoint is in `superseded.jsonl`. `changes` names recipe keys that were changed
   * since, with old and new value.
   */
  z.strictObject({
    time,
    type: z.literal('resumed'),
    step: count,
    steps: count,
    changes: z.array(z.string()).optional(),
  }),
  /** A folder is whole and on disk; `files` are the bytes of each of its files. */
  z.strictObject({ time, type: z.literal('saved'), folder: z.string(), files: z.record(z.string(), count).optional() }),
  /** The run ended: the optimizer steps taken (fewer than planned when it was stopped) and its duration. */
  z.strictObject({ time, type: z.literal('end'), steps: count, seconds: z.number() }),
]);

/** An event of a run. */
export type RunEvent = z.output<typeof eventSchema>;
/** An event that has not been given its time. */
export type NewRunEvent = RunEvent extends infer E ? (E extends RunEvent ? Omit<E, 'time'> : never) : never;

/** The JSON line of an event, without the line feed. Errors: zod's, for values that are no event. */
export function encodeEvent(event: RunEvent): string {
  return JSON.stringify(z.encode(eventSchema, event));
}

/** Events read from a file. */
export interface ReadEvents {
  events: RunEvent[];
  /** The last line, when the writer was cut off in the middle of it; it is not among the events. */
  tornLine: { line: number; bytes: number } | undefined;
}

/**
 * The events in a file, in order. Errors: UserError when it cannot be read; FormatError with the line of anything that
 * is no event, except a torn last line, which is reported in the result.
 */
export function readEvents(path: string): ReadEvents {
  let text: string;
  try {
    text = readFileSync(path, 'utf8', Number.POSITIVE_INFINITY);
  } catch (error) {
    throw new UserError(`${unreadable(path, error)}: name the events.jsonl of a run folder`);
  }
  const lines = text.split('\n');
  const last = lines.pop()!;
  const events = lines.map((line, index) => {
    const event = decodeLine(line);
    if (typeof event === 'string') throw new FormatError(event, { file: path, where: String(index + 1) });
    return event;
  });
  if (last === '') return { events, tornLine: undefined };
  const event = decodeLine(last);
  if (typeof event !== 'string') return { events: [...events, event], tornLine: undefined };
  return { events, tornLine: { line: lines.length + 1, bytes: Buffer.byteLength(last) } };
}

/** The event in a line, or what is wrong with it. */
export function decodeLine(line: string): RunEvent | string {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    return `not JSON (${(error as Error).message})`;
  }
  const result = eventSchema.safeDecode(value as z.input<typeof eventSchema>);
  return result.success ? result.data : `not an event of a run: ${z.prettifyError(result.error).replaceAll('\n', ' ')}`;
}
