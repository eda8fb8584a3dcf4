/** A training run in a thread of its own of this process. */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { Recipe } from '#reanchor/recipe/index.js';
import { repositoryRoot } from './repository.js';

const driver = pathToFileURL(join(repositoryRoot, 'packages/reanchor/src/driver/index.ts')).href;

/** Trains in a new thread, into the folder `out`. Errors: what the run fails with. */
export async function trainInWorker(recipe: Recipe, out: string): Promise<void> {
  const code = `
    const { workerData } = require('node:worker_threads');
    import('tsx/esm/api')
      .then(({ register }) => register())
      .then(() => import(${JSON.stringify(driver)}))
      .then(({ train }) => train(workerData))
      .catch((error) => setImmediate(() => { throw error; }));`;
  const worker = new Worker(code, { eval: true, workerData: { recipe, out, command: [] } });
  await new Promise<void>((done, fail) => {
    worker.on('error', fail);
    worker.on('exit', (status) => (status === 0 ? done() : fail(new Error(`exit status ${status}`))));
  });
}
