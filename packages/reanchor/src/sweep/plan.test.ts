import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { tinyStudy } from '../../../../tests/support/tiny-study.js';
import { type PlannedJob, Planner } from './plan.js';
import { settingsOf } from './settings.js';
import { parseStudy } from './study.js';

const folder = mkdtempSync(join(tmpdir(), 'plan-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** The digests of a study's stages by their titles, and those of the runs of its first arm. */
async function digests(change: (text: string) => string = (text) => text, file?: string) {
  const text = change(tinyStudy(folder));
  if (file !== undefined) writeFileSync(join(folder, 'prompts.jsonl'), file);
  const study = parseStudy(text, 'study.yaml');
  const runs = await new Planner(study, 'out').runs(settingsOf(study));
  const found = new Map<string, string>();
  const add = ({ title, job, needs }: PlannedJob) => {
    needs.forEach(add);
    found.set(title, job.kind === 'run' ? job.digest : job.out);
  };
  for (const run of runs.filter(({ setting }) => setting.arm === 'dpo')) add(run);
  return found;
}

/** The jobs that a change makes others of. */
async function changed(change: (text: string) => string, file?: string): Promise<string[]> {
  const before = await digests();
  const after = await digests(change, file);
  return [...before].filter(([title, digest]) => after.get(title) !== digest).map(([title]) => title);
}

const runs = ['dpo seed 1', 'dpo seed 2'];
const of = (...names: string[]) => names.flatMap((name) => [1, 2].map((seed) => `${name} seed ${seed}`));

test.each([
  ['steps: 2 }', 'steps: 3 }', ['stage sft', ...of('stage pairs-answers', 'stage pairs'), ...runs]],
  ['samples: 3', 'samples: 4', [...of('stage pairs-answers', 'stage pairs'), ...runs]],
  ['surprise }', 'surprise, flip: 0.1 }', [...of('stage pairs'), ...runs]],
  ['lr: 1e-3', 'lr: 1e-2', runs],
  ['every: 2', 'every: 1', runs],
  ['fluent: -surprise', 'fluent: -2 * surprise', runs],
  ['hard: {', 'other: {', []],
  ['steps: 4', 'steps: 4\n  logEvery: 2', []],
])('with %j as %j others are made of it, and of what depends on it alone', async (from, to, expected) => {
  expect((await changed((text) => text.replace(from, to))).sort()).toEqual([...expected].sort());
});

test('what is in a file counts, and not where the sweep is', async () => {
  const other = '{"prompt": "One"}\n';
  expect((await changed((text) => text, other)).sort()).toEqual(
    [...of('stage pairs-answers', 'stage pairs'), ...runs].sort(),
  );
});

test('over order, stages are the same for all seeds; over a stage, it and what depends on it are not', async () => {
  expect([...(await digests()).keys()].filter((title) => title.startsWith('stage')).sort()).toEqual(
    ['stage sft', ...of('stage pairs-answers', 'stage pairs')].sort(),
  );
  const order = await digests((text) => text.replace('over: pairs', 'over: order'));
  expect([...order.keys()].sort()).toEqual(['stage sft', 'stage pairs-answers', 'stage pairs', ...runs].sort());
  const sft = await digests((text) => text.replace('over: pairs', 'over: sft'));
  expect([...sft.keys()].filter((title) => title.startsWith('stage sft'))).toEqual(of('stage sft'));
  expect(new Set(sft.values()).size).toBe(8);
});
