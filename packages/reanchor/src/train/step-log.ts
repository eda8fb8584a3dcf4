import { memory } from '@reanchor/torch';
import type { Metrics } from './metrics.js';

/** What is a state, of which the last value is logged; all other metrics measure a step and are averaged. */
const states = ['grad_norm', 'learning_rate', 'reference/distance', 'reference/version'];

/** Gathers the metrics of `every` steps into one logged step. */
export class StepLog {
  #steps: Metrics[] = [];
  #tokens = 0;
  #allTokens = 0;
  #milliseconds = 0;

  constructor(readonly every: number) {}

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
    const last = this.#steps.at(-1);
    if (!last) return undefined;
    const mean = (name: string) => this.#steps.reduce((sum, step) => sum + step[name]!, 0) / this.#steps.length;
    const values = Object.entries(last).map(([name, value]) => [name, states.includes(name) ? value : mean(name)]);
    const { peakRss, liveTensors } = memory();
    const logged: Metrics = {
      ...Object.fromEntries(values),
      num_tokens: this.#allTokens,
      tokens_per_second: (1000 * this.#tokens) / this.#milliseconds,
      'memory/peak': peakRss,
      'memory/live_tensors': liveTensors,
    };
    this.#steps = [];
    this.#tokens = 0;
    this.#milliseconds = 0;
    return logged;
  }
}
