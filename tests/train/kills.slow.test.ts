// kill -9 at random moments: whatever is cut off, the run goes on to the events and weights of the one that was not
// killed.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { train } from '#reanchor/driver/index.js';
import { type Cut, killedRun, type Moment } from '../support/killing.js';
import { architectures, methods, outcome, references, resumableRecipe, tinyModelOf } from '../support/resuming.js';
import { tinyModel } from '../support/training.js';

const folder = mkdtempSync(join(tmpdir(), 'reanchor-kills-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Random numbers that can be had again: mulberry32. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

async function expectSame(name: string, recipe: ReturnType<typeof resumableRecipe>, moments: Iterable<Moment>) {
  const unstopped = { ...recipe, checkpoint: { every: 'never', keep: 1 } };
  const whole = await train({ recipe: unstopped, out: join(folder, `${name}-whole`), command: [] });
  const out = join(folder, name);
  const cuts = await killedRun(JSON.stringify(recipe), out, moments);
  expect(outcome(out)).toEqual(outcome(whole.folder));
  return cuts;
}

const all: Cut[] = [];
const combinations = architectures.flatMap((architecture) =>
  methods.flatMap((method) =>
    Object.keys(references).map((reference) => [architecture, method, reference as keyof typeof references] as const),
  ),
);

test.each(combinations)('%s, %s, %s', async (architecture, method, reference) => {
  const model = await tinyModelOf(architecture, folder);
  const recipe = resumableRecipe(
    model,
    `method=${method}`,
    `reference=${references[reference]}`,
    'checkpoint.every=2',
    'batch.rowsPerMicroBatch=1',
    'logEvery=1',
  );
  const random = randomOf(combinations.findIndex((one) => one.join() === [architecture, method, reference].join()));
  // Step 2 is followed by a checkpoint; what is cut off after it goes on from there. Step 3 is followed by the sweep of
  // a cached reference, which has just moved.
  const isCached = reference === 'cached';
  const moments = [
    { event: isCached ? 'checkpoint' : 'step', n: isCached ? 1 : 2, milliseconds: 30 * random() },
    { event: 'step', n: isCached ? 1 : 2, milliseconds: (isCached ? 10 : 40) * random() },
  ];
  all.push(...(await expectSame(`${architecture}-${method}-${reference}`, recipe, moments)));
});

test('the kills were many, in checkpoints and in sweeps too', () => {
  const sweeps = all.filter(({ last: { type, step } }) => type === 'step' && step === 3);
  const inCheckpoints = all.filter(({ inCheckpoint }) => inCheckpoint);
  console.log(`${all.length} kills, ${inCheckpoints.length} in checkpoints, ${sweeps.length} after step 3`);
  expect(all.length).toBeGreaterThanOrEqual(20);
  expect(inCheckpoints.length).toBeGreaterThanOrEqual(2);
  expect(sweeps.length).toBeGreaterThanOrEqual(2);
});

test('200 kills of one run', { timeout: 1_200_000 }, async () => {
  const recipe = resumableRecipe(
    tinyModel,
    'reference={ update: soft, alpha: 0.5 }',
    'steps=1200',
    'checkpoint.every=2',
    'evaluate.every=100',
    'logEvery=7',
  );
  const random = randomOf(200);
  const moments = Array.from({ length: 200 }, (): Moment => {
    // While it loads or begins, or around one of its next checkpoints; the first is the one that it has gone on from.
    if (random() < 0.2) return { event: 'go', n: 1, milliseconds: 500 * random() };
    return { event: 'checkpoint', n: 1 + Math.floor(4 * random()), milliseconds: 60 * random() };
  });
  const begun = performance.now();
  const cuts = await expectSame('many', recipe, moments);
  const inCheckpoints = cuts.filter(({ inCheckpoint }) => inCheckpoint).length;
  console.log(
    `${cuts.length} kills in ${Math.round((performance.now() - begun) / 1000)} s, ${inCheckpoints} in checkpoints`,
  );
  expect(cuts.length).toBe(200);
});
