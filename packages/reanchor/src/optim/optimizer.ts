import type { Tensor } from '@reanchor/torch';

/** What moves parameters by their gradients. */
export interface Optimizer extends Disposable {
  /** One step with learning rate `lr`. Every parameter must have a gradient. */
  step(lr: number): void;
  /**
   * Its tensors, by kind and parameter as in `exp_avg.layers.0.weight`; `parameters` gives the names. Values that are
   * copied into them are a restored state.
   */
  state(parameters: ReadonlyMap<string, Tensor>): Map<string, Tensor>;
  /** Forgets all that earlier steps have left, as if the next one were the first. */
  reset(): void;
}
