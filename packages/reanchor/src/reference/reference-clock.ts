import { Plateau } from './plateau.js';
import { type UpdateRule, updateShare } from './update-rule.js';

/** What is seen of training, of which rules that wait for something hear. */
export interface Observations {
  /** Mean reward margin of a training step, against the current reference. */
  margin: number;
  /** Reward accuracy of an evaluation, against the initial policy. */
  accuracy: number;
  /** Drift of the current reference from the initial policy, nats per token; see `train/drift.ts`. */
  drift: number;
}

export interface ClockOptions {
  /** The drift above which the reference stays where it is for good, nats per token. */
  maxDrift?: number | undefined;
}

/** What a clock has seen and decided so far. */
export interface ClockState {
  isStalled: boolean;
  isHalted: boolean;
  /** The values that a plateau remembers. */
  plateau: number[];
}

/** Decides, after each optimizer step, how far the reference moves: an update rule, its trigger and its cap. */
export class ReferenceClock {
  readonly #plateau: Plateau | undefined;
  #isStalled = false;
  #isHalted = false;

  constructor(
    readonly rule: UpdateRule,
    readonly options: ClockOptions = {},
  ) {
    this.#plateau = rule.update === 'plateau' ? new Plateau(rule) : undefined;
  }

  /** Whether the reference has reached its cap and moves no more. */
  get isHalted(): boolean {
    return this.#isHalted;
  }

  state(): ClockState {
    return { isStalled: this.#isStalled, isHalted: this.#isHalted, plateau: [...(this.#plateau?.values ?? [])] };
  }

  restore({ isStalled, isHalted, plateau }: ClockState): void {
    this.#isStalled = isStalled;
    this.#isHalted = isHalted;
    this.#plateau?.restore(plateau);
  }

  observe<Name extends keyof Observations>(name: Name, value: Observations[Name]): void {
    const { maxDrift = Number.POSITIVE_INFINITY } = this.options;
    if (name === 'drift' && value > maxDrift) this.#isHalted = true;
    if (this.#plateau && name === this.#plateau.options.metric && this.#plateau.observe(value)) this.#isStalled = true;
  }

  /** The share of the policy in the new reference after step `step`; 0 for no update. To be asked once a step. */
  share(step: number): number {
    if (this.#isHalted) return 0;
    if (!this.#plateau) return updateShare(this.rule, step);
    const { startAfter = 0, stopAfter = Number.POSITIVE_INFINITY } = this.rule;
    if (!this.#isStalled || step <= startAfter || step > stopAfter) return 0;
    this.#isStalled = false;
    this.#plateau.restart();
    return 1;
  }
}
