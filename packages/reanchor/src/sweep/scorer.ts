/** Scores of answers, by the names that a study gives them. */
import { type PromptText, promptColumns } from '../data/index.js';
import { UserError } from '../errors.js';
import { RewardJudge } from '../eval/rewards/reward-judge.js';
import { TextGenerator } from '../generate/index.js';
import { scoreCompletions } from '../models/score-completions.js';
import { textHere } from '../recipe/index.js';
import { commandScore } from './command-score.js';
import { evaluate, parseExpression, type Term } from './expression.js';
import { type Gold, loadGold } from './gold.js';
import type { ScoreInput } from './study-schema.js';

/** What scores know of an answer. */
export interface ScoredAnswer {
  prompt: PromptText;
  text: string;
  /** The tokens that it has, without the one that ended it. */
  length: number;
  /** Whether it was cut at the most tokens. */
  isCut: boolean;
  /** -log p of it under the model that wrote it first, nats; a run has its log-ratio to that one too. */
  surprise: number;
  kl?: number | undefined;
}

/** Scores answers one by one, in their order. */
type Scoring = (answers: readonly ScoredAnswer[]) => Promise<number[]>;

/** The scores of a study, with the models that they need. */
export class Scorer implements Disposable {
  private constructor(
    /** The names of the study, in its order. */
    private readonly names: readonly string[],
    private readonly scorings: ReadonlyMap<string, Scoring>,
    private readonly expressions: ReadonlyMap<string, readonly Term[]>,
    private readonly resources: readonly Disposable[],
  ) {}

  /** Errors: UserError, FormatError of models and of the lexicon. */
  static async load(scores: Readonly<Record<string, ScoreInput>>, signal?: AbortSignal): Promise<Scorer> {
    const scorings = new Map<string, Scoring>([
      ['length', async (answers) => answers.map(({ length }) => length)],
      ['surprise', async (answers) => answers.map(({ surprise }) => surprise)],
      ['kl', async (answers) => answers.map(({ kl }) => kl ?? Number.NaN)],
    ]);
    const expressions = new Map<string, readonly Term[]>();
    const resources: Disposable[] = [];
    for (const [name, score] of Object.entries(scores)) {
      if (typeof score === 'string') {
        const terms = parseExpression(score) as Term[];
        expressions.set(name, terms);
        if (terms.some((term) => term.name === 'afinn')) scorings.set('afinn', valences(await loadGold()));
      } else {
        const { scoring, resource } = await openScore(score, signal);
        scorings.set(name, scoring);
        if (resource) resources.push(resource);
      }
    }
    return new Scorer(Object.keys(scores), scorings, expressions, resources);
  }

  /** Every score of every answer. Errors: UserError of a score, with its name; the signal's reason. */
  async scores(answers: readonly ScoredAnswer[]): Promise<Record<string, number>[]> {
    const parts: Record<string, number[]> = {};
    for (const [name, scoring] of this.scorings) {
      parts[name] = await scoring(answers).catch((error: unknown) => {
        if (!(error instanceof UserError)) throw error;
        throw new UserError((option) => `score ${name}: ${error.told(option)}`, { cause: error });
      });
    }
    return answers.map((_, i) => {
      const partOf = (name: string) => parts[name]![i]!;
      const scores = this.names.map((name) => {
        const terms = this.expressions.get(name);
        return [name, terms ? evaluate(terms, partOf) : partOf(name)] as const;
      });
      return Object.fromEntries(scores);
    });
  }

  [Symbol.dispose](): void {
    for (const resource of this.resources) resource[Symbol.dispose]();
  }
}

const valences =
  (gold: Gold): Scoring =>
  async (answers) =>
    answers.map(({ text }) => gold(text));

async function openScore(
  { command, seconds, surprise, reward }: Exclude<ScoreInput, string>,
  signal: AbortSignal | undefined,
): Promise<{ scoring: Scoring; resource?: Disposable }> {
  if (command) {
    const rowOf = ({ prompt, text }: ScoredAnswer) => ({ ...promptColumns(prompt), completion: text });
    return { scoring: (answers) => commandScore({ command, seconds }, answers.map(rowOf), { signal }) };
  }
  if (reward) {
    const named = { model: textHere('model', reward.model), reference: textHere('model', reward.reference) };
    const judge = await RewardJudge.load({ ...named, beta: reward.beta, signal });
    const scoring: Scoring = (answers) =>
      Promise.all(answers.map(({ prompt, text, isCut }) => judge.reward(prompt.prompt, text, isCut)));
    return { scoring, resource: judge };
  }
  const generator = await TextGenerator.load(textHere('model', surprise!), { signal });
  return { scoring: (answers) => surprises(generator, answers, signal), resource: generator };
}

/** -log p of answers under a model, nats, with what ends those that were not cut. */
async function surprises(generator: TextGenerator, answers: readonly ScoredAnswer[], signal?: AbortSignal) {
  const groups = answers.map(({ prompt, text, isCut }) => ({
    prompt: generator.encode(prompt),
    completions: [generator.encodeWritten(prompt, text, isCut ? undefined : 'own')],
  }));
  const scores = await scoreCompletions(generator.model, groups, { signal });
  return scores.map(([logprob]) => -logprob!);
}
