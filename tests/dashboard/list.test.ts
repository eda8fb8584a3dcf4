// The list of runs against the events themselves, with the events of a real training cut anywhere.
import { appendFileSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { train } from '#reanchor/driver/index.js';
import { parseRecipe } from '#reanchor/recipe/index.js';
import { decodeLine } from '#reanchor/runs/events.js';
import { encodeEvent, type RunEvent } from '#reanchor/runs/index.js';
import type { RunSummary } from '#reanchor/serve/api.js';
import { Library } from '#reanchor/serve/library.js';
import { ServedFolder } from '#reanchor/serve/served-folder.js';
import { tinyModel, tinyPairs } from '../support/training.js';

const base = mkdtempSync(join(tmpdir(), 'reanchor-list-'));
const runs = join(base, 'runs');
const events = join(runs, 'run/events.jsonl');
afterAll(() => rmSync(base, { recursive: true }));

interface Told {
  bytes: Buffer;
  events: RunEvent[];
  /** The byte behind each event. */
  ends: number[];
}

/** The events of a training: with updates in every step, evaluations, texts; and forty times as many. */
let real: Told;
let long: Told;
beforeAll(async () => {
  const recipe = parseRecipe(
    `{ model: ${tinyModel}, method: dpo, reference: { update: soft, alpha: 0.6 }, batch: { size: 4 }, steps: 120,
       data: { train: ${tinyPairs}, validation: 8, maxLength: 64 },
       evaluate: { every: 25, generate: { prompts: 4, maxNewTokens: 16 } } }`,
    { file: 'tiny.yaml', env: {} },
  );
  await train({ recipe, out: join(base, 'trained'), command: [] });
  real = told(readFileSync(join(base, 'trained/events.jsonl')));
  long = told(repeated(real.events, 40));
  mkdirSync(join(runs, 'run'), { recursive: true });
  copyFileSync(join(base, 'trained/run.json'), join(runs, 'run/run.json'));
});

function told(bytes: Buffer): Told {
  const lines = bytes.toString().split('\n').slice(0, -1);
  let end = 0;
  const ends = lines.map((line) => (end += Buffer.byteLength(line) + 1));
  return { bytes, events: lines.map((line) => decodeLine(line) as RunEvent), ends };
}

/** The events that are whole in the first bytes. */
function eventsWithin({ events, ends }: Told, size: number): RunEvent[] {
  const next = ends.findIndex((end) => end > size);
  return next === -1 ? events : events.slice(0, next);
}

/** The middle of a run so many times over, with its steps counted on. */
function repeated(all: readonly RunEvent[], times: number): Buffer {
  const last = all.findLast((event) => event.type === 'step')!.step;
  const first = all.findIndex(({ type }) => type === 'step');
  const middle = all.slice(first).filter(({ type }) => type !== 'end' && type !== 'saved');
  const again = Array.from({ length: times }, (_, i) =>
    middle.map((event) => ('step' in event ? { ...event, step: event.step + i * last } : event)),
  );
  return Buffer.from([...all.slice(0, first), ...again.flat()].map((event) => `${encodeEvent(event)}\n`).join(''));
}

/** To the digits that a fast reader of numbers keeps. */
const rounded = (metrics: Record<string, number | null>) =>
  Object.fromEntries(Object.entries(metrics).map(([name, value]) => [name, Number(value!.toPrecision(13))]));

/** What the list has to say of events. */
function expected(all: readonly RunEvent[]): Partial<RunSummary> {
  const of = <T extends RunEvent['type']>(type: T) =>
    all.filter((event) => event.type === type) as (RunEvent & { type: T })[];
  const [steps, evaluations, [end]] = [of('step'), of('evaluation'), of('end')];
  const newest = [...steps, ...evaluations].map(({ step }) => step);
  return {
    status: end ? 'finished' : 'stopped',
    lastEvent: all.at(-1)?.time ?? '',
    step: Math.max(0, ...newest),
    steps: of('start')[0]?.steps,
    metrics: rounded(steps.at(-1)?.metrics ?? {}),
    evaluation: rounded(Object.assign({}, ...evaluations.map(({ metrics }) => metrics))),
  };
}

async function list(library: Library): Promise<RunSummary> {
  const [run] = (await library.list()).runs;
  return { ...run!, metrics: rounded(run!.metrics), evaluation: rounded(run!.evaluation) };
}
const library = async () => new Library(await ServedFolder.at(runs));

test('real events are longer than what was once looked at', () => {
  expect(real.bytes.length).toBeGreaterThan(1 << 16);
  expect(long.bytes.length).toBeGreaterThan(3 << 20);
});

test.each(['real', 'long'] as const)(
  'of a file cut anywhere the list has the newest of everything (%s)',
  async (name) => {
    const all = name === 'real' ? real : long;
    const runsPerProperty = name === 'real' ? 100 : 20;
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: all.bytes.length }), async (cut) => {
        writeFileSync(events, all.bytes.subarray(0, cut));
        expect(await list(await library())).toMatchObject(expected(eventsWithin(all, cut)));
      }),
      { numRuns: runsPerProperty, seed: 1, examples: [[0], [1 << 16], [(1 << 16) + 1], [all.bytes.length]] },
    );
  },
);

test('of a file that grows by pieces of any length the list says the same at every look', async () => {
  const pieces = fc.array(fc.integer({ min: 1, max: 1_000_000 }), { minLength: 1, maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(pieces, async (lengths) => {
      rmSync(events, { force: true });
      const followed = await library();
      let size = 0;
      for (const length of lengths) {
        appendFileSync(events, long.bytes.subarray(size, size + length));
        size = Math.min(long.bytes.length, size + length);
        expect(await list(followed)).toMatchObject(expected(eventsWithin(long, size)));
      }
    }),
    { numRuns: 8, seed: 1 },
  );
});

test('the course in the list goes over the whole run', async () => {
  writeFileSync(events, long.bytes);
  const { sparkline } = await list(await library());
  expect(sparkline.metric).toBe('rewards/margins');
  expect(sparkline.steps.length).toBeGreaterThan(25);
  expect(sparkline.steps[0]).toBeLessThan(4800 / 20);
  expect(sparkline.steps.at(-1)).toBe(4800);
});
