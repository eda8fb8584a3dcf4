/** Kills training processes at chosen moments, and lets the run go on, until it is done. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { repositoryRoot } from './repository.js';

/** When to kill: so many milliseconds after the n-th event of a type; 'go' is the moment when the process begins. */
export interface Moment {
  event: string;
  n: number;
  milliseconds: number;
}

/** What a kill has cut off. */
export interface Cut {
  /** A checkpoint was being written, or deleted. */
  inCheckpoint: boolean;
  /** The type and step of the last event. */
  last: { type?: string; step?: number };
}

class Trainee {
  readonly #child: ChildProcess;
  readonly #ready: Promise<void>;
  readonly #ended: Promise<number | null>;
  readonly #seen = new Map<string, number>();
  #errors = '';
  #onEvent: (event: string, n: number) => void = () => {};

  constructor(recipe: string, out: string) {
    const script = join(repositoryRoot, 'tests/support/resume-process.ts');
    this.#child = spawn(process.execPath, ['--import', 'tsx', script, recipe, out], {
      cwd: repositoryRoot,
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.#child.stderr!.on('data', (text) => (this.#errors += String(text)));
    this.#ended = new Promise((resolve) => this.#child.once('close', resolve));
    let isReady = () => {};
    this.#ready = new Promise((resolve) => (isReady = resolve));
    createInterface({ input: this.#child.stdout! }).on('line', (event) => {
      if (event === 'ready') return isReady();
      const n = (this.#seen.get(event) ?? 0) + 1;
      this.#seen.set(event, n);
      this.#onEvent(event, n);
    });
  }

  /** Runs until the moment or the end; returns whether it came to its end. Errors: Error when it failed. */
  async run(moment: Moment | undefined): Promise<boolean> {
    await Promise.race([this.#ready, this.#ended]);
    const kill = async () => {
      await sleep(moment!.milliseconds);
      this.#child.kill('SIGKILL');
    };
    this.#onEvent = (event, n) => {
      if (moment && event === moment.event && n === moment.n) void kill();
    };
    this.#child.stdin!.on('error', () => {});
    this.#child.stdin!.end('go\n');
    if (moment?.event === 'go') void kill();
    await this.#ended;
    if (this.#seen.has('done')) return true;
    if (this.#child.signalCode !== 'SIGKILL') throw new Error(`the run failed: ${this.#errors}`);
    return false;
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#ended;
  }
}

/**
 * Runs a recipe in `out`, killed at every moment that `moments` gives and gone on with each time; then to its end.
 * Returns what was cut off by each kill. A process is started while the one before still runs, which saves waiting.
 */
export async function killedRun(recipe: string, out: string, moments: Iterable<Moment>): Promise<Cut[]> {
  const cuts: Cut[] = [];
  let next = new Trainee(recipe, out);
  try {
    for (const moment of moments) {
      const trainee = next;
      next = new Trainee(recipe, out);
      if (await trainee.run(moment)) return cuts;
      cuts.push(cutOf(out));
    }
    await next.run(undefined);
    return cuts;
  } finally {
    await next.stop();
  }
}

function cutOf(out: string): Cut {
  const checkpoints = join(out, 'checkpoints');
  const events = join(out, 'events.jsonl');
  const lines = existsSync(events) ? readFileSync(events, 'utf8').split('\n') : [];
  const inCheckpoint = existsSync(checkpoints) && readdirSync(checkpoints).some((name) => name.includes('.tmp-'));
  let last = {};
  for (const line of lines) {
    try {
      last = JSON.parse(line) as object;
    } catch {
      // A line that was cut.
    }
  }
  return { inCheckpoint, last };
}
