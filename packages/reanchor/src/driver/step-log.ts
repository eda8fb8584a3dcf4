import { cudaMemory, type Device, memory } from '@reanchor/torch';
import type { NewRunEvent } from '../runs/index.js';
import type { Metrics } from '../train/metrics.js';
import type { StepListener, StepOutcome } from './step-listener.js';

/** What is a state, of which the last value is logged; all other metrics measure a step and are averaged. */
const states = [
  'grad_norm',
  'learning_rate',
  'reference/distance',
  'reference/divergence',
  'reference/truncation',
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

export interface StepLogOptions {
  /** The steps that are one in the log. */
  every: number;
  /** Whose memory is logged: of the CPU that of the process, of a GPU that of libtorch's allocator. */
  device: Device;
  /** The epoch that a step belongs to. */
  epochOf(step: number): number;
  emit(event: NewRunEvent): void;
}

/** Gathers the metrics of some steps into one logged step. */
export class StepLog implements StepListener {
  #steps: Metrics[] = [];
  #tokens = 0;
  #allTokens = 0;
  #milliseconds = 0;

  constructor(private readonly options: StepLogOptions) {}

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

  onStep({ step, epoch, metrics, tokens, milliseconds }: StepOutcome): void {
    this.#steps.push(metrics);
    this.#tokens += tokens;
    this.#allTokens += tokens;
    this.#milliseconds += milliseconds;
    if (this.#steps.length >= this.options.every) this.#write(step, epoch);
  }

  /** Writes down the steps after the last full window. */
  async onEnd(step: number): Promise<void> {
    if (this.#steps.length > 0) this.#write(step, this.options.epochOf(step));
  }

  #write(step: number, epoch: number): void {
    const metrics = this.#metrics();
    this.#steps = [];
    this.#tokens = 0;
    this.#milliseconds = 0;
    this.options.emit({ type: 'step', step, epoch, metrics });
  }

  #metrics(): Metrics {
    const last = (name: string) => this.#steps.findLast((step) => step[name] !== undefined)![name];
    const mean = (name: string) => {
      const values = this.#steps.flatMap((step) => step[name] ?? []);
      return values.reduce((sum, value) => sum + value, 0) / values.length;
    };
    const names = new Set(this.#steps.flatMap(Object.keys));
    const values = [...names].map((name) => [name, states.includes(name) ? last(name) : mean(name)]);
    const { peakRss, liveTensors } = memory();
    const { device } = this.options;
    return {
      ...Object.fromEntries(values),
      num_tokens: this.#allTokens,
      tokens_per_second: (1000 * this.#tokens) / this.#milliseconds,
      'memory/peak': device === 'cpu' ? peakRss : cudaMemory(device).peakAllocated,
      'memory/live_tensors': liveTensors,
    };
  }
}
