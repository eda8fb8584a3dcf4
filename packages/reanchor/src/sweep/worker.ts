/** A process of a sweep: it does one job and ends. Its stdin is its tie to the sweep: once it is closed, it stops. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { takeLock } from '@reanchor/torch/host';
import { configureProcess } from '../driver/index.js';
import { UserError } from '../errors.js';
import { type Job, type Order, type Report, stoppedCode, workersFolder } from './jobs.js';
import { corpusStage, initStage } from './make-model.js';
import { labelStage, sampleStage } from './make-stage.js';
import { measuredRun, trainRun, type WorkOptions } from './measured-run.js';

/** Does the job that the first line of stdin orders; returns the exit code. */
export async function runWorker(): Promise<number> {
  const stop = new AbortController();
  const lines = createInterface({ input: process.stdin });
  const first = new Promise<string | undefined>((heard) => {
    lines.once('line', heard).once('close', () => heard(undefined));
  });
  lines.once('close', () => stop.abort(new UserError('the sweep has ended')));
  const text = await first;
  if (text === undefined) return stoppedCode;
  const { job, cwd, sweep, threads, parent } = JSON.parse(text) as Order;
  process.chdir(cwd);
  mkdirSync(join(sweep, workersFolder), { recursive: true });
  // Whoever goes on with the sweep waits for the locks of its workers; one whose sweep is gone by now takes none.
  const lock = takeLock(join(sweep, workersFolder, `${process.pid}.lock`));
  using _held = Symbol.dispose in lock ? lock : undefined;
  if (process.ppid !== parent) return stoppedCode;
  const { recipe } = 'recipe' in job ? job : {};
  configureProcess({
    threads: recipe?.threads ?? threads,
    deterministic: recipe?.deterministic,
    matmul: recipe?.matmul,
  });
  try {
    await work(job, { signal: stop.signal, onProgress: (progress) => report({ progress }) });
    return 0;
  } catch (error) {
    if (stop.signal.aborted && error === stop.signal.reason) return stoppedCode;
    const { message, stack } = error as Error;
    report({ error: error instanceof UserError ? message : (stack ?? message) });
    return 1;
  } finally {
    lines.close();
  }
}

const report = (told: Report) => process.stdout.write(`${JSON.stringify(told)}\n`);

async function work(job: Job, options: WorkOptions): Promise<void> {
  if (job.kind === 'corpus') await corpusStage(job);
  else if (job.kind === 'init') await initStage(job);
  else if (job.kind === 'train') await trainRun(job.recipe, job.out, options);
  else if (job.kind === 'sample') await sampleStage(job, options);
  else if (job.kind === 'label') await labelStage(job, options);
  else await measuredRun(job, options);
}
