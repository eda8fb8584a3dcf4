import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { type QuickstartSettings, quickstart, quickstartSettings } from './index.js';

const folder = mkdtempSync(join(tmpdir(), 'quickstart-'));
afterAll(() => rmSync(folder, { recursive: true }));

const tiny: QuickstartSettings = {
  ...quickstartSettings.fast,
  tokenizerPassages: 60,
  sft: { ...quickstartSettings.fast.sft, steps: 12 },
  pairs: { prompts: 60, samples: 6, maxNewTokens: 16 },
  preference: { ...quickstartSettings.fast.preference, steps: 4, batchSize: 4 },
  measure: { prompts: 12, every: 2 },
};
const options = (out: string) => ({ out: join(folder, out), settings: tiny, seed: 1, threads: 1 });

test('the experiment ends with measurements of three variants from the same start, and a picture', async () => {
  const results = await quickstart(options('whole'));
  expect(results.map(({ measured }) => measured.map(({ step }) => step))).toEqual([
    [0, 2, 4],
    [0, 2, 4],
    [0, 2, 4],
  ]);
  const [first, ...others] = results.map(({ measured }) => measured[0]!);
  for (const other of others) expect(other).toEqual(first);
  expect(Math.abs(first!.kl)).toBeLessThan(1e-3);
  expect(readFileSync(join(folder, 'whole/gold-against-kl.svg'), 'utf8')).toContain('TR-DPO soft');
});

test('stopped anywhere, it goes on where it was and comes to the same numbers', async () => {
  const whole = await quickstart(options('whole'));
  const stages: string[] = [];
  for (const stage of ['learning to write', 'sampling pairs', 'TR-DPO soft, alpha = 0.6']) {
    const stop = new AbortController();
    const run = quickstart({
      ...options('stopped'),
      signal: stop.signal,
      onProgress: (now) => {
        stages.push(now);
        if (now === stage) stop.abort(new Error('enough'));
      },
    });
    await expect(run).rejects.toThrow('enough');
  }
  const resumed: string[] = [];
  const results = await quickstart({ ...options('stopped'), onProgress: (stage) => resumed.push(stage) });
  expect(results).toEqual(whole);
  expect(stages).toContain('DPO');
  expect(resumed).not.toContain('learning to write');
  expect(resumed).not.toContain('DPO');
  expect(existsSync(join(folder, 'stopped/dpo/final/model.safetensors'))).toBe(true);
});

test('a folder with another experiment is refused', async () => {
  await expect(quickstart({ ...options('whole'), seed: 2 })).rejects.toThrow(/another seed, size or number of threads/);
});
