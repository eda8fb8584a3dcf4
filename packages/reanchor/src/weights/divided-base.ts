import type { Device, DType, ProcessGroup, Tensor } from '@reanchor/torch';
import type { ConfigJson } from '../models/causal-lm.js';
import type { Residency } from '../nn/segments.js';
import { gatheredForPasses, Unit, withWholes } from './unit.js';
import { planUnits } from './unit-plan.js';

export interface DividedBaseOptions {
  /** The processes that have it between them. */
  world: ProcessGroup;
  dtype: DType;
  device: Device;
  /** Parameters that are not divided, since they are trained as a whole. */
  apart: ReadonlySet<string>;
}

/**
 * The frozen weights under an adapter, of which each process has a part: those of a block are gathered for a pass
 * through it, and let go. They have no gradients, and the reference computes with them as well.
 */
export class DividedBase implements Disposable {
  readonly #root: Unit;
  readonly #blocks: Unit[];

  constructor(configJson: ConfigJson, { apart, ...options }: DividedBaseOptions) {
    const { dtype, device } = options;
    const units = planUnits(configJson, (name) => !apart.has(name)).map(
      (plan) => new Unit({ ...options, kept: dtype, reduce: dtype, keptOn: device, isResident: false, plan }),
    );
    [this.#root, ...this.#blocks] = units as [Unit, ...Unit[]];
    for (const block of this.#blocks) block.free();
  }

  get #units(): Unit[] {
    return [this.#root, ...this.#blocks];
  }

  /** Gives a parameter its value, of which this process keeps its part; returns what the network has of it. */
  put(name: string, value: Tensor): Tensor {
    const unit = this.#units.find(({ views }) => views.has(name));
    if (!unit) return value;
    unit.put(name, value);
    return unit.views.get(name)!;
  }

  get residency(): Residency {
    return { ...gatheredForPasses(this.#root, this.#blocks), collect: () => {} };
  }

  /** What `work` makes while this process has all of it; all processes have to call it. */
  gathered<T>(work: () => Promise<T>): Promise<T> {
    return withWholes(this.#units, work);
  }

  /** Gives back what is held for passes alone. */
  rest(): void {
    for (const unit of this.#units) unit.free();
  }

  [Symbol.dispose](): void {
    for (const unit of this.#units) unit[Symbol.dispose]();
  }
}
