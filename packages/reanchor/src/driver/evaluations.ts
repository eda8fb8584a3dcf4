import type { ProcessGroup } from '@reanchor/torch';
import type { Group, RowPlace } from '../data/index.js';
import { UserError } from '../errors.js';
import { stopTokens } from '../generate/index.js';
import type { CausalLM } from '../models/causal-lm.js';
import type { AgreedStop } from '../parallel/agreed-stop.js';
import { nearest, type Recipe, textHere } from '../recipe/index.js';
import type { ReferencePolicy } from '../reference/reference-policy.js';
import type { NewRunEvent, TrainingState } from '../runs/index.js';
import type { Tokenizer } from '../text/index.js';
import { Evaluation } from '../train/evaluation.js';
import type { Metrics, Probed } from '../train/metrics.js';
import type { LoggedRow, Objective } from '../train/objectives/objective.js';
import type { ModelWeights } from '../weights/weights.js';
import { stopReason } from './early-stop.js';
import { GeneratedEvaluation } from './generated-evaluation.js';
import type { StepListener } from './step-listener.js';

/** Measures the policy besides the recipe's evaluations: before the run, after every n steps, and after the last. */
export interface Probe {
  every: number;
  /** What it found; undefined where it has looked and found nothing to be told. */
  measure(policy: CausalLM, step: number): Promise<Probed | undefined>;
}

export interface RunEvaluationsOptions {
  recipe: Recipe;
  objective: Objective<RowPlace, LoggedRow>;
  validation: readonly RowPlace[];
  policy: ModelWeights;
  /** Of the run. */
  reference: ReferencePolicy | undefined;
  tokenizer: Tokenizer;
  /** The folder of the model that is trained. */
  modelFolder: string;
  totalSteps: number;
  probe: Probe | undefined;
  stop: AgreedStop;
  /** The processes that share rows and answers; rank 0 alone is probed. */
  world: ProcessGroup;
  emit(event: NewRunEvent): void;
  /** What a checkpoint remembers. */
  earlier?: Pick<TrainingState, 'evaluations' | 'initialLogprobs' | 'isEvaluationDue'> | undefined;
  /** A copy of the initial policy; only called where answers are compared with it. */
  initialPolicy: () => Promise<ModelWeights>;
}

/** What was measured after a step. */
export interface EvaluationMetrics {
  step: number;
  metrics: Metrics;
}

/** All measurements of a run: when they are due, and what they found. */
export class RunEvaluations implements StepListener, Disposable {
  readonly results: EvaluationMetrics[];
  #isDue: boolean;
  /** Why the run ends before its last step, by `stop` of the recipe; undefined as long as it goes on. */
  #endsEarly: string | undefined;

  private constructor(
    private readonly options: RunEvaluationsOptions,
    private readonly evaluation: Evaluation<RowPlace> | undefined,
    private readonly generated: GeneratedEvaluation | undefined,
    private readonly initial: ModelWeights | undefined,
  ) {
    this.results = [...(options.earlier?.evaluations ?? [])];
    this.#isDue = options.earlier?.isEvaluationDue ?? false;
    this.#decide(this.results);
  }

  /** Errors: the signal's reason once it is aborted; libtorch's. */
  static async of(options: RunEvaluationsOptions): Promise<RunEvaluations> {
    const { objective, validation, policy, recipe, stop, earlier, world } = options;
    const { tokensPerMicroBatch } = recipe.batch;
    const scoring = { tokensPerMicroBatch, signal: stop.signal, agree: () => stop.agree(), world };
    const evaluation =
      validation.length === 0
        ? undefined
        : earlier?.initialLogprobs
          ? new Evaluation(objective, validation, scoring, earlier.initialLogprobs)
          : await Evaluation.of(objective, validation, policy.model, scoring);
    const generated = await generatedEvaluation(options);
    const initial = generated?.needsAnchors ? await options.initialPolicy() : undefined;
    return new RunEvaluations(options, evaluation, generated, initial);
  }

  /** Log-probabilities of the validation rows under the initial policy. */
  get initialLogprobs(): number[][] | undefined {
    return this.evaluation?.initial;
  }

  /** Whether what is to be measured after the last step, if anything is, has not been yet. */
  get isDue(): boolean {
    return this.#isDue;
  }

  /** Why the run ends now, before its last step; undefined where it goes on. The same on all processes. */
  get endsEarly(): string | undefined {
    return this.#endsEarly;
  }

  /** All processes come to the same, since all have the same evaluations. */
  #decide(evaluations: readonly EvaluationMetrics[]): void {
    const { stop } = this.options.recipe;
    if (stop !== undefined) this.#endsEarly = stopReason(evaluations, stop);
  }

  /** Measures the initial policy, before the first step. Errors: those of {@link onPause}. */
  async measureStart(): Promise<void> {
    await this.#measure(0);
  }

  /** Makes up for an evaluation before which the run was interrupted. */
  async onBegin(step: number): Promise<void> {
    if (this.#isDue) await this.onPause(step);
  }

  onStep(): void {
    this.#isDue = true;
  }

  /**
   * Measures what is due after a step and writes it down. Errors: the signal's reason once it is aborted, and then
   * nothing is written; UserError when `checkpoint.best` or `stop.metric` names no metric.
   */
  async onPause(step: number): Promise<void> {
    const accuracy = (await this.#measure(step))?.['rewards/accuracies'];
    if (accuracy !== undefined) this.options.reference?.observe('accuracy', accuracy);
    this.#isDue = false;
  }

  async #measure(step: number): Promise<Metrics | undefined> {
    const evaluated = await this.#evaluate(step);
    const probed = await this.#probe(step);
    if (!evaluated && !probed) return undefined;
    const { emit } = this.options;
    const metrics = { ...evaluated?.metrics, ...probed?.metrics };
    const samples = [...(evaluated?.samples ?? []), ...(probed?.samples ?? [])];
    emit({ type: 'evaluation', step, metrics });
    this.results.push({ step, metrics });
    if (samples.length > 0) emit({ type: 'samples', step, samples });
    if (evaluated) this.#requireMetrics(metrics);
    return metrics;
  }

  /** What the recipe has measured after a step, if anything; and whether the run ends for it. */
  async #evaluate(step: number): Promise<Probed | undefined> {
    const { recipe, totalSteps, policy } = this.options;
    const every = recipe.evaluate.every ?? totalSteps;
    if (!this.evaluation || !(step === 0 || step === totalSteps || step % every === 0)) return undefined;
    const measured = step === 0 ? this.evaluation.initialMetrics() : await this.evaluation.metrics(policy.model);
    const written = await this.#written();
    const metrics = { ...measured, ...written?.metrics };
    this.#decide([...this.results, { step, metrics }]);
    return { metrics, samples: written?.samples };
  }

  /** What the probe finds after a step, if it is due: also where the run ends with it. */
  async #probe(step: number): Promise<Probed | undefined> {
    const { probe, world, totalSteps, policy } = this.options;
    if (!probe || world.rank !== 0) return undefined;
    const isEnd = step === 0 || step === totalSteps || this.#endsEarly !== undefined;
    return isEnd || step % probe.every === 0 ? await probe.measure(policy.model, step) : undefined;
  }

  /** Errors: UserError for a key of the recipe that names none of an evaluation's metrics. */
  #requireMetrics(metrics: Metrics): void {
    const { recipe, world } = this.options;
    const keys = { 'checkpoint.best': recipe.checkpoint.best, 'stop.metric': recipe.stop?.metric };
    for (const [key, name] of Object.entries(keys)) {
      if (world.rank !== 0 || name === undefined || name in metrics) continue;
      const all = Object.keys(metrics);
      const near = nearest(name, all);
      throw new UserError(
        `${key}: evaluations of this run have no metric ${name}${near === undefined ? '' : `: did you mean ${near}?`}; they have ${all.join(', ')}`,
      );
    }
  }

  async #written(): Promise<Probed | undefined> {
    const { policy, reference } = this.options;
    const anchors = { initial: this.initial?.model, reference: reference?.model };
    const written = await this.generated?.measure(policy, anchors);
    this.initial?.rest();
    return written;
  }

  [Symbol.dispose](): void {
    this.initial?.[Symbol.dispose]();
  }
}

/** The answers that a recipe has the policy write at its evaluations, if any. */
async function generatedEvaluation({
  recipe,
  objective,
  validation,
  tokenizer,
  modelFolder,
  stop,
  world,
}: Pick<RunEvaluationsOptions, 'recipe' | 'validation' | 'tokenizer' | 'modelFolder' | 'stop' | 'world'> & {
  objective: { group(row: RowPlace): Group };
}): Promise<GeneratedEvaluation | undefined> {
  const { generate: section } = recipe.evaluate;
  if (section === undefined) return undefined;
  const { chatTemplate } = recipe.data;
  const template = chatTemplate && textHere('data.chatTemplate', chatTemplate);
  return new GeneratedEvaluation({
    ...section,
    from: validation.map((row) => objective.group(row).prompt),
    tokenizer,
    stopTokens: await stopTokens(modelFolder, tokenizer, template),
    seed: recipe.seed,
    tokensPerMicroBatch: recipe.batch.tokensPerMicroBatch,
    ...{ world, signal: stop.signal, agree: () => stop.agree() },
  });
}
