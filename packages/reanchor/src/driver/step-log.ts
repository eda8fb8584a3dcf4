import { cudaMemory, type Device, memory } from '@reanchor/torch';
import type { Metrics } from '../train/metrics.js';

/** What is a state, of which the last value is logged; all other metrics measure a step and are averaged. */
const states = [
  'grad_norm',
  'learning_rate',
  'reference/distance',
  'reference/divergence',
  'reference/version',
  'skipped_steps',
];

/** The steps that are not logged yet. */
export interface StepLogState {
  steps: Metrics[];
  tokens: number;
  allTokens: number;
  milliseconds: number;
}

/** Gathers the metrics of `every` steps into one logged step. */
export class StepLog {
  #steps: Metrics[] = [];
  #tokens = 0;
  #allTokens = 0;
  #milliseconds = 0;

  /** The memory that is logged is that of the process, or of libtorch's allocator where `device` is a GPU. */
  constructor(
    readonly every: number,
    readonly device: Device,
  ) {}

  state(): StepLogState {
    return {
      steps: this.#steps,
      tokens: this.#tokens,
      allTokens: this.#allTokens,
      milliseconds: this.#milliseconds,
    };
  }

  restore({ steps, tokens, allTokens, milliseconds }: StepLogState): void {
    this.#steps = [...steps];
    this.#tokens = tokens;
    this.#allTokens = allTokens;
    this.#milliseconds = milliseconds;
  }

  /**
   * Takes the metrics of a step, its packed tokens and its duration; returns what is to be logged when a window is
   * full.
   */
  add(metrics: Metrics, tokens: number, milliseconds: number): Metrics | undefined {
    this.#steps.push(metrics);
    this.#tokens += tokens;
    this.#allTokens += tokens;
    this.#milliseconds += milliseconds;
    return this.#steps.length < this.every ? undefined : this.flush();
  }

  /** What is to be logged of the steps since the last time, if there are any. */
  flush(): Metrics | undefined {
    if (this.#steps.length === 0) return undefined;
    const last = (name: string) => this.#steps.findLast((step) => step[name] !== undefined)![name];
    const mean = (name: string) => {
      const values = this.#steps.flatMap((step) => step[name] ?? []);
      return values.reduce((sum, value) => sum + value, 0) / values.length;
    };
    const names = new Set(this.#steps.flatMap(Object.keys));
    const values = [...names].map((name) => [name, states.includes(name) ? last(name) : mean(name)]);
    const { peakRss, liveTensors } = memory();
    const logged: Metrics = {
      ...Object.fromEntries(values),
      num_tokens: this.#allTokens,
      tokens_per_second: (1000 * this.#tokens) / this.#milliseconds,
      'memory/peak': this.device === 'cpu' ? peakRss : cudaMemory(this.device).peakAllocated,
      'memory/live_tensors': liveTensors,
    };
    this.#steps = [];
    this.#tokens = 0;
    this.#milliseconds = 0;
    return logged;
  }
}
