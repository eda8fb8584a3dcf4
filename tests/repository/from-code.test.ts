// The program of docs/guide/from-code.md, as it stands there, run in an empty folder on the fixtures.
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { readEvents } from '#reanchor/runs/index.js';
import { fixtures, repositoryRoot } from '../support/repository.js';

const here = process.cwd();
const folder = mkdtempSync(join(tmpdir(), 'reanchor-from-code-'));
afterEach(() => {
  process.chdir(here);
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true });
});

test('the program of the guide is the one that runs here, and does what the guide says', async () => {
  const page = readFileSync(join(repositoryRoot, 'docs/guide/from-code.md'), 'utf8');
  const pieces = [...page.matchAll(/```ts\n(.*?)```/gs)].map(([, piece]) => piece);
  expect(pieces.join('\n')).toBe(readFileSync(join(repositoryRoot, 'tests/support/from-code.ts'), 'utf8'));

  process.chdir(folder);
  cpSync(join(fixtures, 'models/llama-tiny'), 'path/to/model', { recursive: true });
  writeFileSync('pairs.jsonl', readFileSync(join(fixtures, 'text/pairs.jsonl'), 'utf8').repeat(5));
  const printed: unknown[][] = [];
  vi.spyOn(console, 'log').mockImplementation((...values) => void printed.push(values));
  vi.spyOn(console, 'warn').mockImplementation(() => {});
  await import('../support/from-code.js');

  const checkpoint = 'runs/from-code/checkpoints/step-000020';
  expect(printed).toContainEqual([false, 20, checkpoint]);
  expect(existsSync(join(checkpoint, 'manifest.json'))).toBe(true);
  const { events } = readEvents('runs/from-code/events.jsonl');
  const steps = events.filter(({ type }) => type === 'step').length;
  expect(steps).toBeGreaterThan(20);
  expect(events).toContainEqual(expect.objectContaining({ type: 'resumed', step: 20 }));
  expect(events.at(-1)).toMatchObject({ type: 'end', steps });
  expect(printed).toContainEqual([steps, expect.any(Number)]);
  expect(printed).toContainEqual([expect.any(Number), { chosen: expect.anything(), rejected: expect.anything() }]);
  expect(printed.at(-2)).toEqual([`the reference moved ${steps} times`]);
  expect(printed.at(-1)).toEqual([expect.any(String)]);
});
