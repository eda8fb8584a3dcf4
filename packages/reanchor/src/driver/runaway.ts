/** Policies that run away: nothing but the learning rate holds them, and each step takes them further. */
import { UserError } from '../errors.js';
import type { Recipe } from '../recipe/index.js';
import type { TrainingState } from '../runs/index.js';
import { quantile } from '../stats/index.js';
import type { Metrics } from '../train/metrics.js';
import { documentation } from '../version.js';
import type { StepListener, StepOutcome } from './step-listener.js';

/** Single steps are noisy, so that windows of this many are compared by their medians. */
const windowSteps = 10;
/** The gradient norm, as a multiple of that of the first window. DPO's falls as its pairs are satisfied. */
const normGrowth = 2;
/** The shares of their nats by which log p(chosen) and log p(rejected) have fallen since the first window. */
const chosenFall = 0.05;
const rejectedFall = 0.25;

type RunawayState = NonNullable<TrainingState['runaway']>;
type Level = RunawayState['window'][number];

/**
 * Finds, once in a run, that the policy runs away. At the end of each window of 10 steps, by medians over the window:
 *
 * - the gradient norm before clipping is at least twice that of the first window;
 * - log p(chosen) has fallen by 5 % of its nats or more since the first window, log p(rejected) by 25 %;
 * - both are below those of the window before.
 *
 * None of these alone is unusual. DPO lowers log p(rejected) further than this, with a norm that falls as pairs are
 * satisfied; after hard updates the norm is up to 1.7 times the first one, with log p(chosen) where it was. The runs
 * behind the limits are in docs/guide/choosing.md.
 */
export class RunawayDetector {
  readonly #state: RunawayState;

  constructor(state: RunawayState = { isFound: false, window: [] }) {
    this.#state = structuredClone(state);
  }

  get isFound(): boolean {
    return this.#state.isFound;
  }

  state(): RunawayState {
    return structuredClone(this.#state);
  }

  /**
   * Takes what a step has measured; returns, when it is found, what shows it. Steps that were left out, and objectives
   * without chosen and rejected answers, have measured nothing that counts.
   */
  observe(metrics: Metrics): string | undefined {
    const { grad_norm: gradNorm, 'logps/chosen': chosen, 'logps/rejected': rejected } = metrics;
    if (gradNorm === undefined || chosen === undefined || rejected === undefined) return undefined;
    const state = this.#state;
    state.window.push({ gradNorm, chosen, rejected });
    if (state.window.length < windowSteps) return undefined;
    const now = medians(state.window);
    const { first, last } = state;
    state.window = [];
    state.first ??= now;
    state.last = now;
    if (state.isFound || !first || !last || !isRunaway(first, last, now)) return undefined;
    state.isFound = true;
    return (
      `the gradient norm has grown from ${first.gradNorm.toPrecision(3)} to ${now.gradNorm.toPrecision(3)} while the ` +
      `log-probability of chosen answers fell from ${first.chosen.toFixed(0)} to ${now.chosen.toFixed(0)} nats, and of ` +
      `rejected ones from ${first.rejected.toFixed(0)} to ${now.rejected.toFixed(0)} (medians of ${windowSteps} steps)`
    );
  }
}

function isRunaway(first: Level, last: Level, now: Level): boolean {
  const hasGrown = now.gradNorm >= normGrowth * first.gradNorm;
  const hasFallen = (name: 'chosen' | 'rejected', share: number) =>
    now[name] <= first[name] - share * Math.abs(first[name]) && now[name] < last[name];
  return hasGrown && hasFallen('chosen', chosenFall) && hasFallen('rejected', rejectedFall);
}

function medians(levels: readonly Level[]): Level {
  const median = (name: keyof Level) =>
    quantile(
      levels.map((level) => level[name]),
      0.5,
    );
  return { gradNorm: median('gradNorm'), chosen: median('chosen'), rejected: median('rejected') };
}

const advice = `Lower optimizer.lr, raise loss.beta, or set reference.maxDivergence (${documentation('guide/choosing.md')})`;

export interface RunawayWatchOptions {
  mode: Recipe['onRunaway'];
  warn(message: string): void;
  /** Writes a checkpoint of this moment. */
  save(step: number): Promise<void>;
  /** How the run is resumed, in words. */
  resumeHint: string;
}

/** Does what `onRunaway` of a recipe says when the policy runs away. */
export class RunawayWatch implements StepListener {
  #found: string | undefined;

  constructor(
    private readonly detector: RunawayDetector,
    private readonly options: RunawayWatchOptions,
  ) {}

  /** Errors: UserError where an earlier process has stopped for this, and nothing has changed. */
  async onBegin(step: number): Promise<void> {
    const { mode, resumeHint } = this.options;
    if (mode === 'warn' || !this.detector.isFound) return;
    throw new UserError(
      `the policy had run away by step ${step}, and onRunaway is stop: to go on all the same ${resumeHint} and onRunaway: warn. ` +
        advice,
    );
  }

  onStep({ step, metrics }: StepOutcome): void {
    this.#found = this.detector.observe(metrics);
    if (this.#found !== undefined && this.options.mode === 'warn')
      this.options.warn(`the policy runs away in step ${step}: ${this.#found}. ${advice}`);
  }

  /** Errors: UserError where the run is to stop, after a checkpoint. */
  async onPause(step: number): Promise<void> {
    const { mode, save, resumeHint } = this.options;
    if (this.#found === undefined || mode === 'warn') return;
    await save(step);
    throw new UserError(
      `the policy runs away in step ${step}: ${this.#found}. The run is stopped with a checkpoint (onRunaway: stop): to go on ` +
        `all the same ${resumeHint} and onRunaway: warn. ${advice}, in a run of its own`,
    );
  }
}
