// Runs of one process, one after the other or in threads at the same time, are what each is in a process of its own.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getNumThreads, manualSeed, rngState, setNumThreads } from '@reanchor/torch';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { configureProcess, train } from '#reanchor/driver/index.js';
import type { Recipe } from '#reanchor/recipe/index.js';
import { readEvents } from '#reanchor/runs/index.js';
import { repositoryRoot } from '../support/repository.js';
import { outcome, resumableRecipe } from '../support/resuming.js';
import { tinyModel } from '../support/training.js';
import { trainInWorker } from '../support/worker-run.js';

const folder = mkdtempSync(join(tmpdir(), 'reanchor-independent-'));
afterAll(() => rmSync(folder, { recursive: true }));
let count = 0;
const newPlace = () => join(folder, `run-${count++}`);

/** Two runs that draw what there is to be drawn: an order of rows, mismatched completions, answers. */
const recipes = [
  resumableRecipe(
    tinyModel,
    'seed=1',
    'reference={ update: soft, alpha: 0.5 }',
    'evaluate.generate={ prompts: 2, maxNewTokens: 4 }',
  ),
  resumableRecipe(tinyModel, 'seed=2', 'method=kto', 'reference={ update: hard, tau: 3, storage: cached }'),
];

function trainAlone(recipe: Recipe): string {
  const out = newPlace();
  const script = join(repositoryRoot, 'tests/support/resume-process.ts');
  const { status, stderr } = spawnSync(process.execPath, ['--import', 'tsx', script, JSON.stringify(recipe), out], {
    cwd: repositoryRoot,
    encoding: 'utf8',
    input: 'begin\n',
  });
  expect(status, stderr).toBe(0);
  return out;
}

async function trainHere(recipe: Recipe): Promise<string> {
  const out = newPlace();
  await train({ recipe, out, command: [] });
  return out;
}

describe('two runs of a process', () => {
  let alone: ReturnType<typeof outcome>[];
  beforeAll(() => {
    alone = recipes.map((recipe) => outcome(trainAlone(recipe)));
    expect(alone[0]).not.toEqual(alone[1]);
  });

  test('one after the other give what each gives alone, whatever was drawn in between', async () => {
    for (const order of [
      [0, 1],
      [1, 0],
    ]) {
      for (const i of order) {
        manualSeed(count);
        expect(outcome(await trainHere(recipes[i]!))).toEqual(alone[i]);
      }
    }
  });

  test('at the same time, taking turns in one thread, give what each gives alone', async () => {
    const both = await Promise.all(recipes.map(trainHere));
    expect(both.map(outcome)).toEqual(alone);
  });

  test('at the same time, each in a thread of its own, give what each gives alone', async () => {
    const places = recipes.map(newPlace);
    await Promise.all(recipes.map((recipe, i) => trainInWorker(recipe, places[i]!)));
    expect(places.map(outcome)).toEqual(alone);
  });
});

test('a run leaves the generator and the threads of the process as they are, and says which threads it was to have', async () => {
  const threads = getNumThreads();
  const [recipe] = recipes as [Recipe];
  try {
    setNumThreads(1);
    manualSeed(7);
    const before = rngState();
    const out = await trainHere({ ...recipe, threads: 2 });
    expect(rngState()).toEqual(before);
    expect(getNumThreads()).toBe(1);
    const warnings = readEvents(join(out, 'events.jsonl')).events.flatMap((event) =>
      event.type === 'warning' ? event.message : [],
    );
    expect(warnings).toContain('threads is 2, and operators use 1: call configureProcess(recipe) before train()');
    configureProcess({ threads: 2 });
    expect(getNumThreads()).toBe(2);
    configureProcess({});
    expect(getNumThreads()).toBe(2);
  } finally {
    setNumThreads(threads);
  }
});
