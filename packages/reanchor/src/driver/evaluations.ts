import type { ProcessGroup } from '@reanchor/torch';
import type { Group, RowPlace } from '../data/index.js';
import { UserError } from '../errors.js';
import { stopTokens } from '../generate/index.js';
import type { CausalLM } from '../models/causal-lm.js';
import type { AgreedStop } from '../parallel/agreed-stop.js';
import { type Recipe, textHere } from '../recipe/index.js';
import type { ReferencePolicy } from '../reference/reference-policy.js';
import type { NewRunEvent, TrainingState } from '../runs/index.js';
import type { Tokenizer } from '../text/index.js';
import { Evaluation } from '../train/evaluation.js';
import type { Metrics, Probed } from '../train/metrics.js';
import type { LoggedRow, Objective } from '../train/objectives/objective.js';
import type { ModelWeights } from '../weights/weights.js';
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

  private constructor(
    private readonly options: RunEvaluationsOptions,
    private readonly evaluation: Evaluation<RowPlace> | undefined,
    private readonly generated: GeneratedEvaluation | undefined,
    private readonly initial: ModelWeights | undefined,
  ) {
    this.results = [...(options.earlier?.evaluations ?? [])];
    this.#isDue = options.earlier?.isEvaluationDue ?? false;
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
   * nothing is written; UserError when `checkpoint.best` names no metric.
   */
  async onPause(step: number): Promise<void> {
    const accuracy = (await this.#measure(step))?.['rewards/accuracies'];
    if (accuracy !== undefined) this.options.reference?.observe('accuracy', accuracy);
    this.#isDue = false;
  }

  async #measure(step: number): Promise<Metrics | undefined> {
    const { recipe, totalSteps, policy, emit, world } = this.options;
    const probe = world.rank === 0 ? this.options.probe : undefined;
    const isEnd = step === 0 || step === totalSteps;
    const isEvaluated = this.evaluation && (isEnd || step % (recipe.evaluate.every ?? totalSteps) === 0);
    const isProbed = probe && (isEnd || step % probe.every === 0);
    if (!isEvaluated && !isProbed) return undefined;
    const probed = isProbed ? await probe.measure(policy.model, step) : undefined;
    if (!isEvaluated && probed === undefined) return undefined;
    const measured =
      isEvaluated && (step === 0 ? this.evaluation!.initialMetrics() : await this.evaluation!.metrics(policy.model));
    const written = isEvaluated ? await this.#written() : undefined;
    const metrics = { ...measured, ...written?.metrics, ...probed?.metrics };
    const samples = [...(written?.samples ?? []), ...(probed?.samples ?? [])];
    emit({ type: 'evaluation', step, metrics });
    this.results.push({ step, metrics });
    if (samples.length > 0) emit({ type: 'samples', step, samples });
    const { best } = recipe.checkpoint;
    if (isEvaluated && world.rank === 0 && best !== undefined && !(best in metrics)) {
      throw new UserError(
        `checkpoint.best: evaluations of this run have no metric ${best}; they have ${Object.keys(metrics).join(', ')}`,
      );
    }
    return metrics;
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
