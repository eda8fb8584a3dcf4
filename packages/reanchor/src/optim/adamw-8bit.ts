import { adamw8bit_, adamw8bitBlock, keep, type Moment8bit, type Tensor, tidy, zeros } from '@reanchor/torch';
import { AdamW, type AdamWOptions, isDecayed } from './adamw.js';
import type { Optimizer } from './optimizer.js';

/** Parameters with fewer elements have moments in float32: they take next to nothing, and norms are among them. */
const fewElements = 4096;

interface State {
  parameter: Tensor;
  decay: number;
  mean: Moment8bit;
  root: Moment8bit;
  /** Steps that were made, which decide what is rounded up. */
  step: Tensor;
}

/**
 * AdamW whose moments take a byte each (Dettmers et al. 2022, arXiv 2110.02861; see `adamw8bit_`), so that a parameter
 * needs 2.03 bytes of them and not 8. `seed` decides all rounding: two optimizers with one seed do the same.
 */
export class AdamW8bit implements Optimizer {
  readonly #few: AdamW;
  readonly #states: State[];

  constructor(
    parameters: Iterable<Tensor>,
    readonly options: AdamWOptions & { seed: number },
  ) {
    const all = [...parameters];
    this.#few = new AdamW(
      all.filter(({ numel }) => numel < fewElements),
      options,
    );
    this.#states = all
      .filter(({ numel }) => numel >= fewElements)
      .map((parameter) => ({
        parameter,
        decay: isDecayed(parameter) ? options.weightDecay : 0,
        ...keep(freshState(parameter)),
      }));
  }

  step(lr: number): void {
    const { betas, eps, seed } = this.options;
    const [beta1, beta2] = betas;
    this.#few.step(lr);
    for (const [i, { parameter, decay, mean, root, step }] of this.#states.entries()) {
      tidy(() => {
        step.add_(1);
        // Each parameter is rounded by numbers of its own.
        const options = { lr, beta1, beta2, eps, weightDecay: decay, step: step.item(), seed: seed + 0x9e3779b1 * i };
        adamw8bit_(parameter, parameter.grad!, { mean, root }, options);
      });
    }
  }

  state(parameters: ReadonlyMap<string, Tensor>): Map<string, Tensor> {
    const own = new Map(this.#states.map((state) => [state.parameter, state]));
    const few = new Map([...parameters].filter(([, parameter]) => !own.has(parameter)));
    const found = this.#few.state(few);
    for (const [name, parameter] of parameters) {
      const state = own.get(parameter);
      if (!state) continue;
      for (const [kind, tensor] of kindsOf(state)) found.set(`${kind}.${name}`, tensor);
    }
    return found;
  }

  reset(): void {
    this.#few.reset();
    for (const state of this.#states) for (const [, tensor] of kindsOf(state)) tensor.zero_();
  }

  [Symbol.dispose](): void {
    this.#few[Symbol.dispose]();
    for (const state of this.#states) for (const [, tensor] of kindsOf(state)) tensor.dispose();
  }
}

const kindsOf = ({ mean, root, step }: State): [string, Tensor][] => [
  ['exp_avg', mean.codes],
  ['exp_avg_absmax', mean.absmax],
  ['exp_avg_root', root.codes],
  ['exp_avg_root_absmax', root.absmax],
  ['step', step],
];

function freshState({ numel, device }: Tensor): Pick<State, 'mean' | 'root' | 'step'> {
  const moment = (): Moment8bit => ({
    codes: zeros([numel], { dtype: 'uint8', device }),
    absmax: zeros([Math.ceil(numel / adamw8bitBlock)], { device }),
  });
  return tidy(() => ({ mean: moment(), root: moment(), step: zeros([]) }));
}
