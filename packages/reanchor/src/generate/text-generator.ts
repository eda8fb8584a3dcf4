/** Generation from texts and chats to texts: a model with its tokenizer. */
import { type Content, encodePrompt, encodeRow } from '../data/index.js';
import { UserError } from '../errors.js';
import { type HubOptions, modelFolder } from '../hub/index.js';
import type { CausalLM } from '../models/causal-lm.js';
import { chooseDevice } from '../models/device.js';
import { loadModel } from '../models/load.js';
import { quantizationNote } from '../models/saved-config.js';
import { type ChatTemplate, loadChatTemplate, modelChatTemplate, type Tokenizer } from '../text/index.js';
import { loadTokenizer } from '../text/tokenizer.js';
import { type GeneratedCompletion, type GenerateOptions, generate } from './generate.js';
import { answerEnd, modelStopTokens } from './stop-tokens.js';

/** A text that is gone on from, or the messages of a chat that the assistant is to answer. */
export type Prompt = Content;

export interface CompleteOptions extends Omit<GenerateOptions, 'stopTokens' | 'decode' | 'onCompletion'> {
  onCompletion?: ((completion: TextCompletion) => void | Promise<void>) | undefined;
}

export interface TextCompletion extends GeneratedCompletion {
  /** Without a stop string and what follows it. */
  text: string;
  /** The sum of the tokens' log-probabilities, nats. */
  logprob: number;
}

export interface TextGeneratorOptions extends HubOptions {
  /**
   * The chat template, as in a recipe: `model`, a built-in name, a .jinja file or Jinja text. Left out, texts are gone on
   * from as they are and chats take the template of the model; given, a text is a message of the user, too.
   */
  chatTemplate?: string | undefined;
  /** What messages call that choice. */
  setting?: string | undefined;
  /** auto, cpu, cuda or cuda:N. Default: auto. */
  device?: string | undefined;
}

/**
 * A model in fp32 with its tokenizer, that completes texts and answers chats. A completion ends at the tokens of
 * generation_config.json (without them, at EOS) and, in a chat, at the token that the template writes after an answer.
 */
export class TextGenerator implements Disposable {
  private constructor(
    /** Where the model's files are. */
    readonly folder: string,
    readonly model: CausalLM,
    readonly tokenizer: Tokenizer,
    private readonly template: ChatTemplate | undefined,
    private readonly setting: string | undefined,
    private readonly stopTokens: readonly number[],
  ) {}

  /**
   * Loads a Hugging Face folder, or a model of the Hub by owner/name. Errors: UserError, FormatError of model, tokenizer
   * and template.
   */
  static async load(
    name: string,
    { chatTemplate, setting, device: deviceSetting, ...hub }: TextGeneratorOptions = {},
  ): Promise<TextGenerator> {
    const device = chooseDevice(deviceSetting);
    const folder = await modelFolder(name, hub);
    const tokenizer = await loadTokenizer(folder);
    const template = chatTemplate === undefined ? undefined : await loadChatTemplate(chatTemplate, tokenizer, setting);
    const stopTokens = await modelStopTokens(folder, tokenizer);
    const model = await loadModel(folder, { dtype: 'float32', device });
    const quantised = quantizationNote(model.configJson);
    if (quantised !== undefined) hub.onNote?.(quantised);
    return new TextGenerator(folder, model, tokenizer, template, setting, stopTokens);
  }

  /** The token ids of a prompt. Errors: UserError for a chat without a template, or that it refuses. */
  encode(prompt: Prompt): Int32Array {
    return Int32Array.from(encodePrompt(prompt, this.tokenizer, this.#templateOf(prompt)));
  }

  /**
   * Completions of prompts, in their order, then that of samples. Errors: those of {@link encode}, with the prompt's
   * place, and of `generate`.
   */
  async complete(prompts: readonly Prompt[], options: CompleteOptions): Promise<TextCompletion[]> {
    const { onCompletion } = options;
    const ids = this.encodeAll(prompts);
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
   * The token ids of an answer that was written to a prompt, as it was tokenised again: with the token that ends it,
   * where it `isEnded`, else without. Errors: UserError for an answer that cannot be told from its prompt.
   */
  encodeAnswer(prompt: Prompt, text: string, isEnded: boolean): Int32Array {
    const stops = this.#stopTokensOf([prompt]);
    if (text === '') return Int32Array.from(isEnded ? stops.slice(0, 1) : []);
    const answer = typeof prompt === 'string' ? text : [{ role: 'assistant', content: text }];
    const encoded = encodeRow(prompt, [answer], this.tokenizer, this.#templateOf(prompt));
    if ('skipped' in encoded) throw new UserError(`an answer cannot be tokenised: ${encoded.skipped}`);
    const ids = encoded.completions[0]!;
    // EOS of a text; in a chat what the template writes after an answer, of which a model writes the first token.
    const end = ids.findLastIndex((id) => stops.includes(id));
    if (end === -1) return Int32Array.from(ids);
    return Int32Array.from(ids.slice(0, isEnded ? end + 1 : end));
  }

  /** The token ids of prompts; an error says at which place. */
  encodeAll(prompts: readonly Prompt[]): Int32Array[] {
    return prompts.map((prompt, i) => {
      try {
        return this.encode(prompt);
      } catch (cause) {
        if (!(cause instanceof UserError) || prompts.length === 1) throw cause;
        throw new UserError(`prompt ${i}: ${cause.message}`, { cause });
      }
    });
  }

  #isChat(prompt: Prompt): boolean {
    return this.template !== undefined || typeof prompt !== 'string';
  }

  #templateOf(prompt: Prompt): ChatTemplate | undefined {
    if (!this.#isChat(prompt)) return undefined;
    return this.template ?? modelChatTemplate(this.tokenizer, this.setting);
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

const whole = (completion: GeneratedCompletion): TextCompletion => ({
  ...completion,
  text: completion.text!,
  logprob: completion.logprobs.reduce((sum, logprob) => sum + logprob, 0),
});
