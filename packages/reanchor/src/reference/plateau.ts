import { mean } from '../stats/index.js';
import type { PlateauOptions } from './update-rule.js';

/**
 * Sees when a metric stops to rise: the mean of its last `patience` values exceeds that of the `patience` values before
 * by less than `minGain`. Means, because the values of single steps are noise. As in ProRL (arXiv 2505.24864), which
 * resets its reference when validation stagnates.
 */
export class Plateau {
  #values: number[] = [];

  constructor(readonly options: PlateauOptions) {}

  /** Takes the next value; returns whether the metric has stalled since the last restart. */
  observe(value: number): boolean {
    const { patience, minGain } = this.options;
    this.#values.push(value);
    if (this.#values.length < 2 * patience) return false;
    this.#values = this.#values.slice(-2 * patience);
    return mean(this.#values.slice(patience)) - mean(this.#values.slice(0, patience)) < minGain;
  }

  /** The values that are remembered, oldest first. */
  get values(): readonly number[] {
    return this.#values;
  }

  restore(values: readonly number[]): void {
    this.#values = [...values];
  }

  /** Forgets what was seen: the metric is measured against another reference from now on. */
  restart(): void {
    this.#values = [];
  }
}
