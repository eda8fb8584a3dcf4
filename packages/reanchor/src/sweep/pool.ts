/** The processes of a sweep: so many at once, each with a job whose stages are done. */
import { fileURLToPath } from 'node:url';
import { type StartedProgram, startProgram } from '@reanchor/torch/host';
import { isRecord } from '../formats/index.js';
import { type Order, type Report, stoppedCode } from './jobs.js';
import { type PlannedJob, variablesOf } from './plan.js';

export interface PoolOptions {
  /** The folder of the sweep. */
  out: string;
  /** Processes at once, and the CPU threads of each. */
  jobs: number;
  threads: number;
  /** Once it is aborted no job is started, and those that run end, with checkpoints. */
  signal: AbortSignal;
  onChange(state: PoolState): void;
  /** Hears that a job is done, before others are started. */
  onDone(job: PlannedJob): Promise<void>;
}

/** How far the jobs are. */
export interface PoolState {
  done: number;
  of: number;
  /** Those that run, with the share that is done of each. */
  running: ReadonlyMap<PlannedJob, number>;
}

export interface Failure {
  title: string;
  message: string;
}

/** Does jobs, in their order as far as those that they need are done. Returns those that failed. */
export async function runJobs(all: readonly PlannedJob[], options: PoolOptions): Promise<Failure[]> {
  const { jobs, signal, onChange, onDone } = options;
  const waiting = [...all];
  const running = new Map<PlannedJob, { share: number; worker: StartedProgram; ended: Promise<void> }>();
  const failed: Failure[] = [];
  let done = 0;
  // One that has failed stays here, so that nothing that needs it is ready.
  const undone = new Set(all.map(({ job }) => job.out));
  const isReady = ({ needs }: PlannedJob) => !needs.some(({ job }) => undone.has(job.out));
  const tell = () =>
    onChange({ done, of: all.length, running: new Map([...running].map(([job, { share }]) => [job, share])) });
  const start = (planned: PlannedJob) => {
    const { worker, outcome } = startWorker(planned, options, (share) => {
      running.get(planned)!.share = share;
      tell();
    });
    const ended = outcome.then(async (result) => {
      if (result === 'done') {
        done += 1;
        undone.delete(planned.job.out);
        await onDone(planned);
      } else if (result !== 'stopped' || !signal.aborted) {
        const message = result === 'stopped' ? 'its process has stopped' : result.error;
        failed.push({ title: planned.title, message });
      }
      running.delete(planned);
      tell();
    });
    running.set(planned, { share: 0, worker, ended });
  };
  const stop = () => {
    for (const { worker } of running.values()) worker.close();
  };
  signal.addEventListener('abort', stop);
  try {
    for (;;) {
      while (!signal.aborted && running.size < jobs) {
        const next = waiting.findIndex(isReady);
        if (next === -1) break;
        start(waiting.splice(next, 1)[0]!);
        tell();
      }
      if (running.size === 0) return failed;
      await Promise.race([...running.values()].map(({ ended }) => ended));
    }
  } finally {
    signal.removeEventListener('abort', stop);
    // Where an error ends it, those that run end too.
    stop();
  }
}

type Outcome = 'done' | 'stopped' | { error: string };

function startWorker(planned: PlannedJob, { out, threads }: PoolOptions, onProgress: (share: number) => void) {
  let error: string | undefined;
  const worker = startProgram(process.execPath, workerProgram(), {
    env: { ...variablesOf(planned), OMP_NUM_THREADS: String(threads) },
    onLine: (line) => {
      const report = reportOf(line);
      if (report && 'error' in report) error = report.error;
      else if (report) onProgress(report.progress);
    },
  });
  const { job } = planned;
  const order: Order = { job, cwd: process.cwd(), sweep: out, threads, parent: process.pid };
  worker.tell(`${JSON.stringify(order)}\n`);
  const outcome = worker.ended.then(({ status, signal, errors }): Outcome => {
    if (status === 0) return 'done';
    if (status === stoppedCode) return 'stopped';
    const last = errors.trim().split('\n').at(-1);
    return { error: error ?? `its process ended with ${signal ?? status}${last ? `: ${last}` : ''}` };
  });
  return { worker, outcome };
}

/** A report of a worker; undefined of what something else in its process has printed. */
function reportOf(line: string): Report | undefined {
  try {
    const report: unknown = JSON.parse(line);
    return isRecord(report) && ('error' in report || 'progress' in report) ? (report as Report) : undefined;
  } catch {
    return undefined;
  }
}

/** The program of a worker: that of the package, or its source, as tests run it, whose jobs are short. */
function workerProgram(): string[] {
  const main = fileURLToPath(new URL('./worker-main.js', import.meta.url));
  if (!import.meta.url.endsWith('.ts')) return [main];
  return ['--no-opt', '--import', import.meta.resolve('tsx'), main.replace(/js$/, 'ts')];
}
