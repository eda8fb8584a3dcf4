import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { isGradEnabled, memory, noGrad, ones } from './index.js';

const source = new URL('index.ts', import.meta.url).href;

/** Runs `body` in a worker, with the module as T, and returns what it posts. */
function inWorker(body: string): Promise<unknown> {
  const code = `
    const { parentPort } = require('node:worker_threads');
    import('tsx/esm/api').then(({ register }) => register()).then(() => import(${JSON.stringify(source)})).then((T) => { ${body} }).catch((e) => parentPort.postMessage(String(e)));`;
  return new Promise((done, fail) => {
    const worker = new Worker(code, { eval: true });
    let answer: unknown;
    worker.on('message', (message) => {
      answer = message;
    });
    worker.on('error', fail);
    worker.on('exit', (status) => (status === 0 ? done(answer) : fail(new Error(`exit status ${status}`))));
  });
}

test('workers train on their own: tables, scopes and grad mode are per thread', async () => {
  const kept = ones([3]);
  const before = memory().liveTensors;
  const body = `
    const w = T.ones([2]).requiresGrad_();
    T.tidy(() => w.mul(3).sum().backward());
    parentPort.postMessage([T.isGradEnabled(), w.grad.toList(), T.memory().liveTensors]);`;
  const answers = noGrad(() => [inWorker(body), inWorker(body)]);
  for (const answer of await Promise.all(answers)) expect(answer).toEqual([true, [3, 3], 2]);
  expect(memory().liveTensors).toBe(before);
  expect(isGradEnabled()).toBe(true);
  expect(kept.toList()).toEqual([1, 1, 1]);
});

test('one worker after another, each with errors caught', async () => {
  for (let i = 0; i < 2; i++) {
    const body = `try { T.ones([2, 3]).mm(T.ones([2, 3])); } catch (e) { parentPort.postMessage(e.name); }`;
    expect(await inWorker(body)).toBe('TorchError');
  }
});
