// Policies of the toy as one stack: B of them computed at once, each with parameters of its own.
// Shapes: B policies, E embedding, H hidden, A actions, J trajectories.
import { cat, keep, manualSeed, noGrad, randn, type Tensor, tidy, zeros } from '@reanchor/torch';
import { actions, horizon } from './tree.js';

const embedding = 8;
const hidden = 32;
/** Of the initial weights; the paper's are not known. */
const deviation = 0.25;

/**
 * B small recurrent networks, h' = tanh(e(a) W + h U + b), softmax over 3 actions from h V + c; the input is the action
 * before, or a mark for the start. The same parameters serve all states, which is what lets one trajectory's training
 * move the others'.
 */
export class StackedPolicies implements Disposable {
  private constructor(
    /** e, W, U, b, V, c, each with B in front. */
    readonly parameters: Tensor[],
  ) {}

  /** Random networks, one a seed: all matrices normal with standard deviation 0.25, biases 0. */
  static random(seeds: readonly number[]): StackedPolicies {
    const one = (seed: number) => {
      manualSeed(seed);
      const normal = (...shape: number[]) => randn([1, ...shape], { dtype: 'float64' }).mul(deviation);
      const zero = (...shape: number[]) => zeros([1, ...shape], { dtype: 'float64' });
      return [
        normal(actions + 1, embedding),
        normal(embedding, hidden),
        normal(hidden, hidden),
        zero(1, hidden),
        normal(hidden, actions),
        zero(1, actions),
      ];
    };
    return tidy(() => {
      const each = seeds.map(one);
      return new StackedPolicies(
        keep(
          each[0]!.map((_, i) =>
            cat(
              each.map((parameters) => parameters[i]!),
              0,
            ),
          ),
        ),
      );
    });
  }

  /** Copies of the policies at these places, in a stack of their own. */
  select(places: readonly number[]): StackedPolicies {
    return tidy(() =>
      noGrad(
        () =>
          new StackedPolicies(
            keep(
              this.parameters.map((parameter) =>
                cat(
                  places.map((i) => parameter.narrow(0, i, 1)),
                  0,
                ).clone(),
              ),
            ),
          ),
      ),
    );
  }

  /** log p of all trajectories under every policy, [B, J]. */
  logprobs(): Tensor {
    return tidy(() => {
      const [e, W, U, b, V, c] = this.parameters as [Tensor, Tensor, Tensor, Tensor, Tensor, Tensor];
      const inputs_BAH = e.matmul(W).add(b);
      const batch = inputs_BAH.shape[0]!;
      let states_BSH = inputs_BAH.narrow(1, actions, 1).tanh();
      const steps_BAH = inputs_BAH.narrow(1, 0, actions);
      let logprobs_BS: Tensor | undefined;
      for (let depth = 0; depth < horizon; depth++) {
        const choices_BSA = states_BSH.matmul(V).add(c).logSoftmax(-1);
        const sums_BSA = logprobs_BS ? logprobs_BS.unsqueeze(-1).add(choices_BSA) : choices_BSA;
        logprobs_BS = sums_BSA.reshape([batch, -1]);
        if (depth === horizon - 1) break;
        const next_BSAH = states_BSH.matmul(U).unsqueeze(2).add(steps_BAH.unsqueeze(1)).tanh();
        states_BSH = next_BSAH.reshape([batch, -1, hidden]);
      }
      return logprobs_BS!;
    });
  }

  /** this <- share policy + (1 - share) this, with a share for each of the stack. */
  moveTowards(policies: StackedPolicies, shares: Tensor): void {
    noGrad(() =>
      tidy(() => {
        const shares_B11 = shares.view([-1, 1, 1]);
        for (const [i, parameter] of this.parameters.entries()) {
          parameter.add_(policies.parameters[i]!.sub(parameter).mul(shares_B11));
        }
      }),
    );
  }

  [Symbol.dispose](): void {
    for (const parameter of this.parameters) parameter.dispose();
  }
}
