/** The KL of a model from a reference, on answers that it writes or has written. */
import { folderOf, type Group, modelPlace, type PromptText, textOf } from '../../data/index.js';
import { UserError } from '../../errors.js';
import { exactJson } from '../../formats/index.js';
import { drawnTokens, type Prompt, readPrompts, TextGenerator } from '../../generate/index.js';
import type { HubOptions } from '../../hub/index.js';
import type { CausalLM } from '../../models/causal-lm.js';
import { chooseDevice } from '../../models/device.js';
import { readConfig } from '../../models/load.js';
import { logRatios } from '../../models/log-ratios.js';
import { ModelLoader } from '../../models/model-loader.js';
import type { PassOptions } from '../../models/passes.js';
import { positionsNote, shortestOf, writingNote } from '../../models/positions.js';
import { afterRankZero } from '../../parallel/together.js';
import { runTextOfModels } from '../../runs/index.js';
import type { Tokenizer } from '../../text/index.js';
import { type Answer, readAnswers } from '../answers.js';
import { referencePlace } from '../reference-place.js';
import { requireSameInputs } from '../same-inputs.js';
import { requireSameTokens } from '../same-tokens.js';
import { type KlEstimate, klEstimate } from './estimate.js';

/** Answers that the model writes. */
interface KlSampling {
  /** JSONL file of prompts, as for `generateFile`. */
  prompts: string;
  /** Answers to each prompt. Default: 1. */
  samples?: number | undefined;
  maxNewTokens: number;
  /** Default: 1, the model's own distribution. */
  temperature?: number | undefined;
  seed?: number | undefined;
  batchSize?: number | undefined;
}

/** The two models that {@link measureKl} compares, and on which answers. */
export interface KlOptions extends HubOptions {
  /** The policy: a Hugging Face folder, or owner/name on the Hub. */
  model: string;
  /** The adapter on it, named so too. */
  adapter?: string | undefined;
  reference: string;
  referenceAdapter?: string | undefined;
  /** What answers are measured: new ones, or those of a file, as `generateFile` writes them. */
  of: KlSampling | { answers: string };
  /** Compare whole next-token distributions, too. */
  exact?: boolean | undefined;
  chatTemplate?: string | undefined;
  /** auto, cpu, cuda or cuda:N. Default: auto. */
  device?: string | undefined;
  tokensPerMicroBatch?: number | undefined;
  /** The processes that share the answers, each with both models. Default: this one alone. */
  world?: PassOptions['world'];
  onProgress?: ((stage: 'writing' | 'measuring', done: number, of: number) => void) | undefined;
}

/** The divergence of a policy from a reference, nats per answer, with its error. */
export interface KlResult extends KlEstimate {
  /** Answers that ended by themselves; the others were cut. */
  ended: number;
  /**
   * What the numbers are: `kl` where the answers are the policy's at temperature 1, `log-ratio` of answers drawn at
   * another one, which is no KL of the two models; `given` where a file of answers does not say how they were drawn.
   */
  measure: 'kl' | 'log-ratio' | 'given';
}

/**
 * KL(policy || reference) of whole answers and per token, nats. An answer counts up to and with the token that ends it,
 * or to `maxNewTokens`: the KL is that of answers cut there. Errors: UserError, FormatError of the files; UserError for
 * a reference with another tokenizer.
 */
export async function measureKl(options: KlOptions): Promise<KlResult> {
  const { of, exact, chatTemplate, tokensPerMicroBatch = 16384, onProgress, world } = options;
  const { own, other, configJson, given } = await afterRankZero(world, async () => {
    const [own, other] = [await modelPlace(options.model, options), await referencePlace(options.reference, options)];
    const given = 'answers' in of ? await readAnswers(of.answers) : await readPrompts(of.prompts, options.onNote);
    return { own, other, configJson: await readConfig(other.base), given };
  });
  const run = runTextOfModels([own, other].map(folderOf), options.onNote);
  using loader = new ModelLoader({ dtype: 'float32', device: chooseDevice(options.device) });
  using generator = await TextGenerator.load(own, { ...options, chatTemplate, run, loader });
  const told: Told = {
    shortest: shortestOf([generator.model, { configJson }]),
    onNote: options.onNote,
    onProgress,
    world,
    requireSame: (name, groups) => requireSameInputs(world, [own, other], name, groups),
  };
  const { groups, ended, texts } =
    'answers' in of
      ? await givenAnswers(generator, of.answers, given as Answer[], told)
      : await newAnswers(generator, of, given as PromptText[], told);
  const sample = texts.slice(0, 32);
  const idsOf = (tokenizer: Tokenizer) => sample.map((text) => tokenizer.encode(plainText(text)).join()).join(';');
  const why = 'the model: a KL needs a reference with the same tokenizer';
  await requireSameTokens(other, generator.tokenizer, idsOf, why);
  using reference = await loader.load(other);
  const count = groups.reduce((sum, { completions }) => sum + completions.length, 0);
  if (count === 0) throw new UserError('there is no answer to measure');
  const ratios = await logRatios(generator.model, reference, groups, {
    tokensPerMicroBatch,
    exact,
    signal: options.signal,
    world,
    onProgress: (done) => onProgress?.('measuring', done, groups.length),
  });
  const measure = 'answers' in of ? 'given' : (of.temperature ?? 1) === 1 ? 'kl' : 'log-ratio';
  return { ...klEstimate(ratios), ended, measure };
}

/** What a prompt says, to be tokenised without a template. */
function plainText(given: Prompt): string {
  const prompt = typeof given === 'object' && 'prompt' in given ? given.prompt : given;
  return typeof prompt === 'string' ? prompt : prompt.map(textOf).join('\n');
}

interface Answers {
  groups: Group[];
  ended: number;
  /** Prompts as they were given, for the comparison of tokenizers. */
  texts: readonly Prompt[];
}

interface Told extends Pick<KlOptions, 'onNote' | 'onProgress' | 'world'> {
  /** Of the two models, the one made for the fewest positions. */
  shortest: Pick<CausalLM, 'configJson'>;
  /** Makes sure that all processes have these tokens. */
  requireSame(name: 'answers' | 'prompts', groups: readonly Group[]): Promise<void>;
}

async function newAnswers(
  generator: TextGenerator,
  { prompts: _file, samples = 1, temperature = 1, ...rest }: KlSampling,
  texts: readonly PromptText[],
  { shortest, onNote, onProgress, world, requireSame }: Told,
): Promise<Answers> {
  const prompts = generator.encodeAll(texts);
  await requireSame(
    'prompts',
    prompts.map((prompt) => ({ prompt, completions: [] })),
  );
  const tooLong = writingNote(shortest, prompts, rest.maxNewTokens);
  if (tooLong !== undefined) onNote?.(tooLong);
  const written = await generator.complete(texts, {
    ...rest,
    samples,
    temperature,
    world,
    onProgress: ({ done, of }) => onProgress?.('writing', done, of),
  });
  const groups = prompts.map((prompt, i) => ({
    prompt,
    completions: written.slice(i * samples, (i + 1) * samples).map(drawnTokens),
  }));
  return { groups, ended: written.filter(({ finish }) => finish === 'stop').length, texts };
}

async function givenAnswers(
  generator: TextGenerator,
  file: string,
  answers: readonly Answer[],
  { shortest, onNote, requireSame }: Told,
): Promise<Answers> {
  const groups = new Map<string, { prompt: Int32Array; completions: Int32Array[]; text: Prompt }>();
  let ended = 0;
  for (const answer of answers) {
    const { asked, line } = answer;
    const end = endOf(answer);
    const key = exactJson(asked);
    try {
      const group = groups.get(key) ?? { prompt: generator.encode(asked), completions: [], text: asked };
      group.completions.push(givenTokens(generator, answer, group.prompt, end));
      groups.set(key, group);
    } catch (cause) {
      if (!(cause instanceof UserError)) throw cause;
      throw new UserError((option) => `${file}:${line}: ${cause.told(option)}`, { cause });
    }
    if (end !== undefined) ended++;
  }
  const all = [...groups.values()];
  await requireSame('answers', all);
  const vocabulary = generator.model.head_VD.shape[0]!;
  const foreign = all
    .flatMap(({ prompt, completions }) => [prompt, ...completions])
    .find((ids) => ids.some((id) => id < 0 || id >= vocabulary));
  if (foreign !== undefined) {
    throw new UserError(
      `${file}: it has tokens that the model, with ${vocabulary}, does not have; name the model that wrote it`,
    );
  }
  const tooLong = positionsNote(shortest, all, () => 'what they say of the tokens beyond means little');
  if (tooLong !== undefined) onNote?.(tooLong);
  return { groups: all, ended, texts: all.map(({ text }) => text) };
}

/**
 * The tokens that were drawn, where the row has them and they are the text to this tokenizer; else the text's,
 * tokenised again.
 */
function givenTokens(
  generator: TextGenerator,
  { asked, text, ids, stopString }: Answer,
  promptIds: Int32Array,
  end: End,
): Int32Array {
  const written = ids && generator.decoder(asked, promptIds)(ids);
  const isText = written === text || (stopString !== undefined && written?.startsWith(text));
  if (!isText || end === 'own') return generator.encodeWritten(asked, text, end);
  return Int32Array.from(end === undefined ? ids! : [...ids!, end]);
}

/** A token's id, the model's usual end, or none. */
type End = number | 'own' | undefined;

/** What the model drew after an answer: the token that its row names, else the usual one; nothing where it was cut. */
function endOf({ finish, stopToken, stopString }: Answer): End {
  if (finish === 'length' || stopString !== undefined) return undefined;
  return stopToken ?? 'own';
}
