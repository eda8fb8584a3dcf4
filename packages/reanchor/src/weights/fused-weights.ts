import { noGrad, type SeenFollowers, type Tensor, type UpdateStep, update_ } from '@reanchor/torch';
import { clipFactor, gradNorm } from '../optim/index.js';
import { type AnchorOptions, type ModelWeights, type WeightDistances, Weights } from './weights.js';

/** What an optimizer gives of a step of {@link FusedWeights}. */
export type FusedStep = Omit<UpdateStep, 'gradients' | 'factor'>;

/**
 * Weights on a CUDA device that read and write memory once where others do so part by part: a step clips, moves,
 * rounds, and measures or moves the reference that follows, in one pass of a kernel (`update_` of @reanchor/torch).
 * Their numbers are those of {@link Weights} but for rounding.
 */
export class FusedWeights extends Weights {
  /** What clipping scales gradients by, in the next step. */
  #factor = 1;
  /** Whether the model has the weights as the last step has left them. */
  #isPublished = false;
  /** The reference that moves in the pass of the next step. */
  #follower: { weights: FusedWeights; share: number } | undefined;
  /** What a pass has seen of these weights, as a reference, until it is asked for. */
  #seen: (SeenFollowers & { share: number }) | undefined;
  #checksums: string[] | undefined;

  get #weights(): Tensor[] {
    return [...this.trained.values()];
  }

  /** What the model computes with in place of what is moved. */
  get #rounded(): Tensor[] | undefined {
    if (this.exact === this.model) return undefined;
    return [...this.trained.keys()].map((name) => this.model.parameters.get(name)!);
  }

  /** The gradients stay as they are until the step, which scales them. */
  override clipGradients(maxNorm: number): number {
    const norm = gradNorm(this.#weights.map((weight) => weight.grad!));
    this.#factor = clipFactor(norm, maxNorm);
    return norm;
  }

  /** Has the next step measure another's weights, or move them by a share above 0, in its own pass. */
  lead(weights: FusedWeights, share: number): void {
    this.#follower = { weights, share };
  }

  /** Makes a step, and what follows from it. Every weight must have a gradient. */
  step(step: FusedStep): void {
    const follower = this.#follower;
    this.#follower = undefined;
    const gradients = this.#weights.map((weight) => weight.grad!);
    const seen = update_({
      ...{ weights: this.#weights, rounded: this.#rounded },
      step: { ...step, gradients, factor: this.#factor },
      followers: follower === undefined ? undefined : follower.weights.#following(follower.share),
    });
    if (follower && seen) follower.weights.#seen = { ...seen, share: follower.share };
    this.#isPublished = true;
  }

  #following(share: number) {
    return { references: this.#weights, rounded: this.#rounded, share };
  }

  override clearGradients(): void {
    super.clearGradients();
    this.#factor = 1;
  }

  override publish(): void {
    if (!this.#isPublished) super.publish();
    this.#isPublished = false;
  }

  override anchor(options: AnchorOptions = {}): FusedWeights {
    const { model, exact } = super.anchor(options);
    return new FusedWeights(model, { wide: exact === model ? undefined : exact, trainable: this.isTrained });
  }

  override moveTowards_(other: ModelWeights, share: number): WeightDistances {
    const { before, after, norm } = this.#seenAt(other, share);
    return { before: Math.sqrt(before), after: Math.sqrt(after), norm: Math.sqrt(norm) };
  }

  override distance(other: ModelWeights): number {
    return Math.sqrt(this.#seenAt(other, 0).after);
  }

  /** Those of the last pass, or of one of their own where they have been asked for. */
  override checksums(): string[] {
    const known = this.#checksums;
    this.#checksums = undefined;
    return known ?? super.checksums();
  }

  /** What the pass of the step has seen that moved these weights by a share; a pass of their own makes up for none. */
  #seenAt(other: ModelWeights, share: number): SeenFollowers {
    const [, weights] = this.beside(other);
    const of = this.#seen?.share === share ? this.#seen : undefined;
    this.#seen = undefined;
    const seen = of ?? noGrad(() => update_({ weights, followers: this.#following(share) })!);
    this.#checksums = seen.checksums;
    return seen;
  }
}
