import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  bestStep,
  checkpointName,
  checkpointSizes,
  keepCheckpoints,
  listCheckpoints,
  newestCheckpoint,
  removeTemporary,
  replaceCheckpoint,
  sealCheckpoint,
  setAside,
  settleReplacements,
  verifyCheckpoint,
} from './checkpoints.js';
import type { TrainingState } from './training-state.js';

const state = (step: number): TrainingState => ({
  step,
  isEvaluationDue: false,
  eventBytes: 10,
  recipe: 'r',
  torch: '2',
  threads: 1,
  sources: {},
  rng: '',
  seconds: 1.5,
  areModelsEqual: false,
  log: { steps: [{ loss: Number.NaN }], tokens: 1, allTokens: 2, milliseconds: 0.1 },
  evaluations: [{ step: 0, metrics: { kl: Number.POSITIVE_INFINITY } }],
  initialLogprobs: [[-0.1, Number.NEGATIVE_INFINITY]],
  reference: { kind: 'copied', version: 1, clock: { isStalled: true, isHalted: false, plateau: [0.1] } },
  divergences: { skipped: 0, consecutive: 0, rollbacks: 0, leftOut: [] },
  runaway: { isFound: false, window: [{ gradNorm: 1, chosen: -2, rejected: Number.NEGATIVE_INFINITY }] },
});

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'checkpoints-'));
});

async function made(step: number): Promise<string> {
  const path = join(folder, checkpointName(step));
  mkdirSync(join(path, 'training'), { recursive: true });
  writeFileSync(join(path, 'model.safetensors'), `weights ${step}`);
  await sealCheckpoint(path, state(step));
  return path;
}

describe('a checkpoint', () => {
  it('is read as it was written, numbers that are not finite too', async () => {
    expect(await verifyCheckpoint(await made(3))).toEqual(state(3));
  });

  it.each([
    [
      'a file that is missing',
      (path: string) => rmSync(join(path, 'model.safetensors')),
      /model\.safetensors: the file is missing/,
    ],
    [
      'a file that was cut',
      (path: string) => truncateSync(join(path, 'model.safetensors'), 3),
      /has 3 bytes, and had 9/,
    ],
    [
      'a bit that was changed',
      (path: string) => writeFileSync(join(path, 'model.safetensors'), 'weights 2'),
      /model\.safetensors: its content has changed/,
    ],
    ['no manifest', (path: string) => rmSync(join(path, 'manifest.json')), /manifest\.json: the file is missing/],
    ['half a manifest', (path: string) => truncateSync(join(path, 'manifest.json'), 30), /manifest\.json: not JSON/],
    [
      'a manifest of another version',
      (path: string) => writeFileSync(join(path, 'manifest.json'), '{"format":2}'),
      /not of this version/,
    ],
    [
      'a manifest without the state',
      (path: string) => writeFileSync(join(path, 'manifest.json'), '{"format":1,"step":3,"files":[]}'),
      /does not name/,
    ],
    [
      'a manifest of another step',
      (path: string) => {
        const file = join(path, 'manifest.json');
        writeFileSync(file, readFileSync(file, 'utf8').replace('"step": 3', '"step": 4'));
      },
      /state\.json: it is of step 3, and the manifest of step 4/,
    ],
  ])('with %s is refused, and the one before is taken', async (_, damage, why) => {
    const [before, path] = [await made(2), await made(3)];
    damage(path);
    await expect(verifyCheckpoint(path)).rejects.toThrow(why);
    const { checkpoint, damaged } = await newestCheckpoint(folder);
    expect(checkpoint).toEqual({ step: 2, path: before, state: state(2) });
    expect(damaged).toEqual([{ step: 3, path, why: expect.stringMatching(why) }]);
    expect(await setAside(damaged[0]!)).toBe(`${path}.damaged-1`);
    expect(listCheckpoints(folder).map(({ step }) => step)).toEqual([2]);
  });
});

it('under the name of another step is not taken', async () => {
  const [before, path] = [await made(2), join(folder, checkpointName(9))];
  renameSync(await made(3), path);
  expect(await newestCheckpoint(folder)).toEqual({
    checkpoint: { step: 2, path: before, state: state(2) },
    damaged: [{ step: 9, path, why: `${path} holds step 3` }],
  });
});

describe('a checkpoint in the place of another', () => {
  const stepOf = async () => (await newestCheckpoint(folder)).checkpoint?.state.isEvaluationDue;
  const write = (due: boolean) => async (path: string) => {
    mkdirSync(join(path, 'training'), { recursive: true });
    await sealCheckpoint(path, { ...state(3), isEvaluationDue: due });
  };

  it('is there alone when it is done', async () => {
    await write(false)(join(folder, checkpointName(3)));
    await replaceCheckpoint(join(folder, checkpointName(3)), write(true));
    expect(await stepOf()).toBe(true);
    expect(readdirSync(folder)).toEqual([checkpointName(3)]);
  });

  it('is taken, where that was cut off, if the other is gone already', async () => {
    const path = join(folder, checkpointName(3));
    await write(true)(`${path}.new`);
    await settleReplacements(folder);
    expect(await stepOf()).toBe(true);
    await write(false)(`${path}.new`);
    await settleReplacements(folder);
    expect(await stepOf()).toBe(true);
    expect(readdirSync(folder)).toEqual([checkpointName(3)]);
  });
});

describe('checkpoints', () => {
  it('are listed by their steps; there may be none', async () => {
    for (const step of [1_000_000, 20, 3]) await made(step);
    for (const other of ['step-12', 'step-000004.tmp-0123456789ab', 'notes']) mkdirSync(join(folder, other));
    expect(listCheckpoints(folder).map(({ step }) => step)).toEqual([3, 20, 1_000_000]);
    expect(listCheckpoints(join(folder, 'nowhere'))).toEqual([]);
    expect(checkpointSizes(folder)[0]).toEqual({ name: 'step-000003', bytes: expect.any(Number) });
    expect(await newestCheckpoint(join(folder, 'nowhere'))).toEqual({ checkpoint: undefined, damaged: [] });
    await removeTemporary(folder);
    expect(readdirSync(folder).filter((name) => name.includes('tmp'))).toEqual([]);
    expect(existsSync(join(folder, 'notes'))).toBe(true);
  });

  it('that are not the newest or the best are deleted', async () => {
    for (const step of [1, 2, 3, 4]) await made(step);
    await keepCheckpoints(folder, 2, [1]);
    expect(readdirSync(folder).sort()).toEqual(['step-000001', 'step-000003', 'step-000004']);
    expect(readFileSync(join(folder, 'step-000004/model.safetensors'), 'utf8')).toBe('weights 4');
  });

  it('are compared by a metric, of a loss the lowest, among those that are there', () => {
    const evaluations = [0.1, Number.NaN, 0.9, 0.5].map((value, step) => ({
      step,
      metrics: { accuracy: value, loss: value },
    }));
    expect(bestStep(evaluations, 'accuracy', [1, 2, 3])).toBe(2);
    expect(bestStep(evaluations, 'accuracy', [1, 3])).toBe(3);
    expect(bestStep(evaluations, 'loss', [1, 2, 3])).toBe(3);
    expect(bestStep(evaluations, 'accuracy', [1])).toBeUndefined();
    expect(bestStep(evaluations, 'other', [1, 2, 3])).toBeUndefined();
  });
});
