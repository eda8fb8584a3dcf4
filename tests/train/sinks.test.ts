// What a training run sends elsewhere: the same numbers as its events.jsonl.

import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { train } from '#reanchor/driver/index.js';
import { RecipeError } from '#reanchor/errors.js';
import { parseRecipe } from '#reanchor/recipe/index.js';
import { readEvents } from '#reanchor/runs/index.js';
import { ManualClock } from '../support/manual-clock.js';
import { tinyModel, tinyPairs } from '../support/training.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'reanchor-sinks-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const recipe = (log: string) =>
  parseRecipe(
    `{ model: ${tinyModel}, method: dpo, steps: 3, data: { train: ${tinyPairs}, validation: 16, maxLength: 96 }, log: ${log} }`,
    { file: 'test.yaml', env: {} },
  );

test('TensorBoard and MLflow get every metric of every step and evaluation', async () => {
  const metrics: { key: string; value: number; step: number }[] = [];
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const piece of request) text += piece;
    metrics.push(...((text && JSON.parse(text).metrics) || []));
    response.end('{"experiment":{"experiment_id":"1"},"run":{"info":{"run_id":"1"}}}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const out = join(folder, 'run');
  await train({ recipe: recipe(`{ tensorboard: true, mlflow: '${address}' }`), out, command: [] });
  server.closeAllConnections();
  server.close();

  const { events } = readEvents(join(out, 'events.jsonl'));
  const expected = events.flatMap((event) => {
    if (event.type !== 'step' && event.type !== 'evaluation') return [];
    const prefix = event.type === 'evaluation' ? 'eval/' : '';
    const all = { ...event.metrics, ...(event.type === 'step' && { epoch: event.epoch }) };
    return Object.entries(all).map(([name, value]) => ({ key: prefix + name, value, step: event.step }));
  });
  expect(expected.length).toBeGreaterThan(60);
  expect(metrics.map(({ key, value, step }) => ({ key, value, step }))).toEqual(expected);

  const [file] = readdirSync(out).filter((name) => name.startsWith('events.out.tfevents.'));
  const text = readFileSync(join(out, file!), 'latin1');
  for (const { key } of expected) expect(text).toContain(key);
  expect(statSync(join(out, file!)).size).toBeGreaterThan(expected.length * 10);
  expect(events.at(-1)!.type).toBe('end');
});

test('a tracking server that is not there does not stop a run', async () => {
  const out = join(folder, 'run');
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  // What a run waits for at its end is over at once.
  const clock = new ManualClock(60_000);
  const result = await train({ recipe: recipe(`{ mlflow: 'http://127.0.0.1:${port}' }`), out, command: [], clock });
  expect(result.steps).toBe(3);
  const { events } = readEvents(join(out, 'events.jsonl'));
  const warnings = events.flatMap((event) => (event.type === 'warning' ? [event.message] : []));
  expect(warnings.join()).toMatch(/numbers of this run were not sent to MLflow/);
  expect(events.at(-1)!.type).toBe('end');
});

test.each([
  ['{ experiment: mine }', /log\.experiment.*no effect without log\.mlflow/],
  ['{ mlflow: localhost }', /log\.mlflow.*is not allowed.*the http or https address/],
  ["{ mlflow: 'http://user:secret@host' }", /log\.mlflow.*is not allowed/],
  ['{ tensorbord: true }', /did you mean log\.tensorboard/],
])('log: %s is an error', (log, message) => {
  expect(() => recipe(log)).toThrow(RecipeError);
  expect(() => recipe(log)).toThrow(message);
});
