/** Generation from texts and chats to texts: a model with its tokenizer. */
import {
  type Content,
  encodePrompt,
  encodeRow,
  folderOf,
  type ModelPlace,
  modelPlace,
  type PromptText,
  placeOfRun,
  promptMessages,
} from '../data/index.js';
import { UserError } from '../errors.js';
import type { HubOptions } from '../hub/index.js';
import type { CausalLM } from '../models/causal-lm.js';
import { chooseDevice } from '../models/device.js';
import { ModelLoader } from '../models/model-loader.js';
import { writingNote } from '../models/positions.js';
import { quantizationNote } from '../models/saved-config.js';
import { tell } from '../parallel/tell.js';
import { type RunText, runTextOfModel } from '../runs/index.js';
import {
  type ChatTemplate,
  loadChatTemplate,
  loadTokenizer,
  modelChatTemplate,
  type Tokenizer,
  withTemplatesOf,
} from '../text/index.js';
import { type GenerateOptions, generate } from './generate.js';
import { answerEnd, answerFrame, modelStopTokens } from './stop-tokens.js';
import type { GeneratedCompletion } from './text.js';

/**
 * A text that is gone on from, or the messages of a chat that the assistant is to answer; or either with what else a
 * chat template is given.
 */
export type Prompt = Content | PromptText;

/** A prompt with what else a chat template is given. */
const textOf = (prompt: Prompt): PromptText => (typeof prompt === 'object' && 'prompt' in prompt ? prompt : { prompt });

/** How a text generator completes prompts, and who hears of it. */
export interface CompleteOptions extends Omit<GenerateOptions, 'stopTokens' | 'decode' | 'onCompletion'> {
  onCompletion?: ((completion: TextCompletion) => void | Promise<void>) | undefined;
  /** Hears, before the first token, that texts may become longer than the model was made for. */
  onNote?: ((note: string) => void) | undefined;
}

/** A completion as text. */
export interface TextCompletion extends GeneratedCompletion {
  /** Without a stop string and what follows it. */
  text: string;
  /** The sum of the tokens' log-probabilities, nats. */
  logprob: number;
}

/** How a text generator finds its model and makes texts of prompts. */
export interface TextGeneratorOptions extends HubOptions {
  /** The adapter on the model, by its folder or its name on the Hub. */
  adapter?: string | undefined;
  /** What loads the model, in fp32, where other models are loaded by it too. */
  loader?: ModelLoader | undefined;
  /**
   * The chat template, as in a recipe: `model`, a built-in name, a .jinja file or Jinja text; with it a text is a
   * message of the user, too. `none`: texts are gone on from as they are, and chats take the template of the model.
   * Default: that of the run, else none.
   */
  chatTemplate?: string | undefined;
  /** The run whose chat template and date are used. Default: that which left the model, if one did. */
  run?: RunText | undefined;
  /** The moment that templates tell as now. Default: that of the run, else when the model is loaded. */
  now?: Date | undefined;
  /** auto, cpu, cuda or cuda:N. Default: auto. */
  device?: string | undefined;
  /** The processes that all load the model, whose moment is that of rank 0. Default: this one alone. */
  world?: GenerateOptions['world'];
}

/**
 * A model in fp32 with its tokenizer, that completes texts and answers chats. A completion ends at the tokens of
 * generation_config.json (without them, at EOS) and, in a chat, at the token that the template writes after an answer.
 */
export class TextGenerator implements Disposable {
  private constructor(
    readonly model: CausalLM,
    readonly tokenizer: Tokenizer,
    private readonly template: ChatTemplate | undefined,
    private readonly now: Date,
    private readonly stopTokens: readonly number[],
  ) {}

  /**
   * Loads a model by its folder or by owner/name on the Hub; see {@link modelPlace}. Errors: UserError, FormatError of
   * model, tokenizer and template.
   */
  static async load(
    name: string | ModelPlace,
    { chatTemplate, run: givenRun, now: givenNow, device, world, adapter, ...options }: TextGeneratorOptions = {},
  ): Promise<TextGenerator> {
    const { loader, ...hub } = options;
    using own = loader ? undefined : new ModelLoader({ dtype: 'float32', device: chooseDevice(device) });
    const place = typeof name === 'string' ? await modelPlace(name, { ...hub, adapter }) : name;
    const run = givenRun ?? runTextOfModel(folderOf(place), hub.onNote);
    const ofRun = await placeOfRun(run, [place], hub);
    const plain = await loadTokenizer(place);
    const tokenizer = ofRun === place ? plain : withTemplatesOf(plain, await loadTokenizer(ofRun));
    const choice = chatTemplate ?? run?.chatTemplate ?? 'none';
    const template = choice === 'none' ? undefined : await loadChatTemplate(choice, tokenizer, 'chatTemplate');
    if (chatTemplate === undefined && template)
      hub.onNote?.(`every text goes through a chat template, as in ${run!.run}`);
    const stopTokens = await modelStopTokens(place, tokenizer);
    const model = await (loader ?? own!).load(place);
    const quantised = quantizationNote(model.configJson, model.quantized);
    if (quantised !== undefined) hub.onNote?.(quantised);
    const now = givenNow ?? run?.now ?? new Date(tell(world, Date.now()));
    return new TextGenerator(model, tokenizer, template, now, stopTokens);
  }

  /** Whether there is a chat template, by which messages are answered. */
  get answersChats(): boolean {
    return this.template !== undefined || this.tokenizer.chatTemplate !== undefined;
  }

  /** The token ids of a prompt. Errors: UserError for a chat without a template, or that it refuses. */
  encode(prompt: Prompt): Int32Array {
    return Int32Array.from(encodePrompt(textOf(prompt), this.tokenizer, this.#textOptions(prompt)));
  }

  /**
   * Completions of prompts, in their order, then that of samples. Errors: those of {@link encode}, with the prompt's
   * place, and of `generate`.
   */
  async complete(prompts: readonly Prompt[], options: CompleteOptions): Promise<TextCompletion[]> {
    const { onCompletion, onNote } = options;
    const ids = this.encodeAll(prompts);
    const tooLong = writingNote(this.model, ids, options.maxNewTokens);
    if (tooLong !== undefined) onNote?.(tooLong);
    const decoders = prompts.map((prompt, i) => this.decoder(prompt, ids[i]));
    const texts = await generate(this.model, ids, {
      ...options,
      stopTokens: this.#stopTokensOf(prompts),
      decode: (tokens, prompt) => decoders[prompt]!(tokens),
      onCompletion: onCompletion && ((completion) => onCompletion(whole(completion))),
    });
    return texts.map(whole);
  }

  /**
   * What makes text of a completion's tokens after a prompt. It follows a text as it stands; an answer in a chat stands
   * alone.
   */
  decoder(prompt: Prompt, ids = this.encode(prompt)): (tokens: readonly number[]) => string {
    const { tokenizer } = this;
    const alone = (tokens: readonly number[]) => tokenizer.decode(tokens);
    const last = ids.at(-1)!;
    if (this.#isChat(prompt) || last === tokenizer.bosId) return alone;
    // Decoders take the space off the start of a text, where this one goes on after a word.
    const before = tokenizer.decode([last]);
    return (tokens) => {
      const both = tokenizer.decode([last, ...tokens]);
      return both.startsWith(before) ? both.slice(before.length) : alone(tokens);
    };
  }

  /**
   * The token ids of what a model wrote to a prompt, tokenised again after it: the text, and the token that ended it if
   * `end` is one; with `own` the one that this model ends such a text with, unless the text ends so already. Errors:
   * those of {@link encode}.
   */
  encodeWritten(prompt: Prompt, text: string, end: number | 'own' | undefined): Int32Array {
    const [start, space] = this.#startOf(prompt, text);
    const ids = (whole: string) => this.tokenizer.encode(whole, { addSpecialTokens: false });
    const written = ids(`${start}${space}${text}`).slice(ids(start).length);
    const stops = this.#stopTokensOf([prompt]);
    const isEnded = written.length > 0 && stops.includes(written.at(-1)!);
    const last = end === 'own' ? (isEnded ? undefined : this.#endOf(prompt, stops)) : end;
    return Int32Array.from(last === undefined ? written : [...written, last]);
  }

  /**
   * The token ids of an answer to a prompt as rows have them that are trained on, with all that ends it; those of a
   * blank one, which no row has, as {@link encodeWritten} gives them. Errors: UserError for one that cannot be told
   * from its prompt; those of {@link encode}.
   */
  encodeAnswer(prompt: Prompt, text: string): Int32Array {
    if (text.trim() === '') return this.encodeWritten(prompt, text, 'own');
    const row = textOf(prompt);
    const answer = typeof row.prompt === 'string' ? text : [{ role: 'assistant', content: text }];
    const encoded = encodeRow(row, [answer], this.tokenizer, this.#textOptions(prompt));
    if ('skipped' in encoded) throw new UserError(`an answer cannot be tokenised: ${encoded.skipped}`);
    return Int32Array.from(encoded.completions[0]!.ids);
  }

  /** The token ids of prompts; an error says at which place. */
  encodeAll(prompts: readonly Prompt[]): Int32Array[] {
    return prompts.map((prompt, i) => {
      try {
        return this.encode(prompt);
      } catch (cause) {
        if (!(cause instanceof UserError) || prompts.length === 1) throw cause;
        throw new UserError((option) => `prompt ${i}: ${cause.told(option)}`, { cause });
      }
    });
  }

  #isChat(prompt: Prompt): boolean {
    return this.template !== undefined || typeof textOf(prompt).prompt !== 'string';
  }

  #templateOf(prompt: Prompt): ChatTemplate | undefined {
    if (!this.#isChat(prompt)) return undefined;
    return this.template ?? modelChatTemplate(this.tokenizer, 'chatTemplate');
  }

  #textOptions(prompt: Prompt) {
    return { template: this.#templateOf(prompt), now: this.now };
  }

  /** A prompt as the text that is gone on from, and the space that stands between it and an answer in a chat. */
  #startOf(prompt: Prompt, text: string): [start: string, space: string] {
    const { template, now } = this.#textOptions(prompt);
    const row = textOf(prompt);
    if (template === undefined) return [row.prompt as string, ''];
    const { before = '' } = answerFrame(template) ?? {};
    // Decoders take the space off the start of an answer.
    const isLost = /^\s+$/.test(before) && text !== '' && !text.startsWith(before);
    const start = template.render(promptMessages(row), { ...row.input, now, addGenerationPrompt: true });
    return [start, isLost ? before : ''];
  }

  #endOf(prompt: Prompt, stops: readonly number[]): number | undefined {
    const template = this.#templateOf(prompt);
    const usual = template ? answerEnd(template, this.tokenizer) : this.tokenizer.eosId;
    return usual !== undefined && stops.includes(usual) ? usual : stops[0];
  }

  #stopTokensOf(prompts: readonly Prompt[]): readonly number[] {
    const chat = prompts.find((prompt) => this.#isChat(prompt));
    if (chat === undefined) return this.stopTokens;
    const end = answerEnd(this.#templateOf(chat)!, this.tokenizer);
    return end === undefined || this.stopTokens.includes(end) ? this.stopTokens : [...this.stopTokens, end];
  }

  [Symbol.dispose](): void {
    this.model[Symbol.dispose]();
  }
}

/**
 * Models with what each of them needs to write, loaded one after the other; those on one base have its weights in
 * common. Errors: those of {@link TextGenerator.load}.
 */
export async function loadGenerators(
  models: readonly { model: string; adapter?: string | undefined }[],
  options: Omit<TextGeneratorOptions, 'adapter' | 'loader'>,
): Promise<TextGenerator[]> {
  using loader = new ModelLoader({ dtype: 'float32', device: chooseDevice(options.device) });
  const generators: TextGenerator[] = [];
  try {
    for (const { model, adapter } of models)
      generators.push(await TextGenerator.load(model, { ...options, adapter, loader }));
    return generators;
  } catch (error) {
    for (const generator of generators) generator[Symbol.dispose]();
    throw error;
  }
}

const whole = (completion: GeneratedCompletion): TextCompletion => ({
  ...completion,
  text: completion.text!,
  logprob: completion.logprobs.reduce((sum, logprob) => sum + logprob, 0),
});
