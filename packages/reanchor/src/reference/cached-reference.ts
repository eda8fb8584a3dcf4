// Shapes: S sequences.
import { setImmediate } from 'node:timers/promises';
import { noGrad, ProcessGroup, type Tensor, tensor, tidy, trimMemory } from '@reanchor/torch';
import type { MicroBatch } from '../data/index.js';
import { type CausalLM, sequenceLogprobs } from '../models/causal-lm.js';
import { spanBatch } from '../nn/spans.js';
import { exchange } from '../parallel/exchange.js';
import { readNumbers, writeNumbers } from '../weights/tensor-file.js';
import type { ModelWeights } from '../weights/weights.js';
import type {
  CachedReferenceState,
  PrepareOptions,
  ReferencePolicy,
  ReferenceState,
  ReferenceUpdate,
} from './reference-policy.js';
import { plannedUpdates, type UpdateRule } from './update-rule.js';

export interface CachedReferenceOptions {
  /** `fixed` or `hard`: between two updates the reference must not move, and at an update it must be the policy. */
  rule: UpdateRule;
  totalSteps: number;
  /** The micro-batches of each step from `step` on, as training will compute them, those of all processes. */
  upcoming: (step: number) => Iterable<readonly MicroBatch[]>;
  /** What the reference is before its first update, then owned; the policy when left out. */
  initial?: ModelWeights | undefined;
  /** The processes that share each step; this one alone when left out. */
  world?: ProcessGroup | undefined;
}

/**
 * A reference without a model: its log-probabilities, computed in one sweep by the policy at the moment when the two
 * are equal, for all rows up to the next update. That is the hard update exactly, at the memory of training without a
 * reference. The sweep computes the micro-batches that training will, so that the numbers are a copied reference's to
 * the bit, and each row once, however often it comes before the next update: of a row that comes again in another
 * micro-batch, which may round it otherwise, the first value stands.
 */
export class CachedReference implements ReferencePolicy {
  readonly isHalted = false;
  readonly model = undefined;
  readonly startsAtPolicy: boolean;
  readonly #updates: number[];
  #version = 0;
  #logprobs = new Map<string, number>();
  /** The last step whose rows are known. */
  #sweptTo = 0;
  #initial: ModelWeights | undefined;
  #isPreparing = false;

  /** Errors: RangeError for a rule that does not hold the reference between copies of the policy. */
  constructor(
    readonly policy: CausalLM,
    readonly options: CachedReferenceOptions,
  ) {
    const { rule } = options;
    if (rule.update !== 'fixed' && rule.update !== 'hard') {
      throw new RangeError(`log-probabilities can be cached for a fixed or hard reference, not for ${rule.update}`);
    }
    this.#initial = options.initial;
    this.startsAtPolicy = options.initial === undefined;
    this.#updates = plannedUpdates(rule, options.totalSteps);
  }

  get version(): number {
    return this.#version;
  }

  /** Whether a sweep has begun that is not done. */
  get isPreparing(): boolean {
    return this.#isPreparing;
  }

  state(): CachedReferenceState {
    const needsInitial = this.#initial !== undefined;
    return { kind: 'cached', version: this.#version, sweptTo: this.#sweptTo, needsInitial };
  }

  async takePart(): Promise<void> {}

  save(path: string): Promise<void> {
    return writeNumbers(fileAt(path), this.#logprobs);
  }

  /** A sweep that was cut off goes on behind the log-probabilities that are known. */
  async restore(state: ReferenceState, path: string): Promise<void> {
    if (state.kind !== 'cached')
      throw new RangeError(`the state of a ${state.kind} reference is not that of a cached one`);
    this.#version = state.version;
    this.#sweptTo = state.sweptTo;
    this.#logprobs = await readNumbers(fileAt(path));
  }

  /**
   * Makes sure that the rows of step `step` are known: sweeps up to the next update if they are not.
   */
  async prepare(step: number, { onProgress, signal }: PrepareOptions = {}): Promise<void> {
    if (step <= this.#sweptTo) return;
    this.#isPreparing = true;
    const { totalSteps, upcoming } = this.options;
    const last = this.#updates.find((update) => update >= step) ?? totalSteps;
    let swept = step - 1;
    for (const microBatches of upcoming(step)) {
      if (swept === last) break;
      await this.#sweep(microBatches, signal);
      swept += 1;
      onProgress?.(swept - step + 1, last - step + 1);
      signal?.throwIfAborted();
    }
    this.#sweptTo = last;
    this.#isPreparing = false;
    this.#dropInitial();
    // Blocks that the sweep leaves behind would lie between those of training.
    trimMemory();
  }

  /** Makes the rows of a step known, each process those of its own micro-batches, and then all tell all. */
  async #sweep(microBatches: readonly MicroBatch[], signal: AbortSignal | undefined): Promise<void> {
    const { world = ProcessGroup.alone() } = this.options;
    const model = this.#initial?.model ?? this.policy;
    const unknown = microBatches.filter(
      ({ keys, isFiller }) => !isFiller && keys.some((key) => !this.#logprobs.has(key)),
    );
    const own: (number[] | undefined)[] = [];
    for (const { owner = world.rank, reference, keys } of unknown) {
      if (owner !== world.rank) {
        own.push(undefined);
        continue;
      }
      const values = tidy(() => noGrad(() => sequenceLogprobs(model, spanBatch(reference, model)).toList()));
      own.push(values);
      // Beside others all remember the same: of a row that is there twice, the value of the first micro-batch.
      if (world.world === 1) this.#remember(keys, values);
      await setImmediate();
      signal?.throwIfAborted();
    }
    this.#keepPace(unknown, model, world);
    const counts = unknown.map(({ keys }) => keys.length);
    for (const [i, values] of exchange(world, own, counts).entries()) this.#remember(unknown[i]!.keys, values);
  }

  /** Where passes bring parameters from other processes, all make equally many. */
  #keepPace(unknown: readonly MicroBatch[], model: CausalLM, world: ProcessGroup): void {
    if (!model.residency) return;
    const counts = Array.from(
      { length: world.world },
      (_, rank) => unknown.filter(({ owner }) => owner === rank).length,
    );
    for (let pass = counts[world.rank]!; pass < Math.max(...counts); pass++)
      tidy(() => noGrad(() => sequenceLogprobs(model, spanBatch(unknown[0]!.reference, model))));
  }

  #remember(keys: readonly string[], values: readonly number[]): void {
    for (const [i, key] of keys.entries()) if (!this.#logprobs.has(key)) this.#logprobs.set(key, values[i]!);
  }

  logprobs({ keys }: MicroBatch): Tensor {
    const values = keys.map((key) => {
      const value = this.#logprobs.get(key);
      if (value === undefined)
        throw new Error(`internal: no reference log-probability of ${key}; prepare() comes first`);
      return value;
    });
    return tensor(Float64Array.from(values), { device: this.policy.device });
  }

  beforeStep(): void {}

  afterStep(step: number): ReferenceUpdate | undefined {
    if (!this.#updates.includes(step)) return undefined;
    this.#logprobs.clear();
    this.#version += 1;
    return { step, version: this.#version, share: 1 };
  }

  observe(): void {}

  distance(): undefined {
    return undefined;
  }

  checksums(): string[] {
    return [];
  }

  sharesPolicy(): boolean {
    return false;
  }

  [Symbol.dispose](): void {
    this.#dropInitial();
    this.#logprobs.clear();
  }

  /** Another model than the policy is needed for the first sweep alone. */
  #dropInitial(): void {
    this.#initial?.[Symbol.dispose]();
    this.#initial = undefined;
  }
}

const fileAt = (path: string) => `${path}.safetensors`;
