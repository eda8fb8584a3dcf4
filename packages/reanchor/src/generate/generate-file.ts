import { createHash } from 'node:crypto';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Fields, isRecord } from '../data/index.js';
import { FormatError, UserError } from '../errors.js';
import { Journal, readJsonl, requireWritable, writeJsonl } from '../formats/index.js';
import type { HubOptions } from '../hub/index.js';
import { packageVersion } from '../runs/version.js';
import { type CompleteOptions, type Prompt, type TextCompletion, TextGenerator } from './text-generator.js';

export interface GenerateFileOptions extends Omit<CompleteOptions, 'isWanted' | 'onCompletion'>, HubOptions {
  /** The model: a Hugging Face folder, or owner/name on the Hub. */
  model: string;
  /** JSONL file (also .gz) of rows with a `prompt`, a text or a list of messages, or with `messages`. */
  prompts: string;
  /** The JSONL file to be written. */
  out: string;
  /** As in `TextGeneratorOptions`. */
  chatTemplate?: string | undefined;
  setting?: string | undefined;
  device?: string | undefined;
  /** Hears, before the work begins, how many completions an earlier run has left, if any. */
  onResume?: ((done: number, of: number) => void) | undefined;
}

/** A line of the file that is written. */
export interface CompletionLine {
  /** The row of the prompt, and the completion's place among its samples, from 0. */
  index: number;
  sample: number;
  prompt: Prompt;
  completion: string;
  /** Neither the token that ended it nor what a stop string cut off is counted. */
  tokens: number;
  /** These tokens as they were drawn: tokenised again, a text may have others. */
  ids: number[];
  /** The sum over these tokens, nats. */
  logprob: number;
  finish: 'stop' | 'length';
  /** What ended it: the id of a token, or a string of `stopStrings`. */
  stopToken?: number | undefined;
  stopString?: string | undefined;
}

/**
 * Writes a {@link CompletionLine} for each completion, in the order of prompts. The file appears whole or not at all;
 * until then every completion that is done is kept in `<out>.partial`, and the same call goes on from there. Returns the
 * number of lines. Errors: UserError, also for an `<out>.partial` of other work; FormatError.
 */
export async function generateFile({
  model,
  prompts: file,
  out,
  chatTemplate,
  setting,
  device,
  onResume,
  ...options
}: GenerateFileOptions): Promise<number> {
  await requireWritable(out, 0);
  const prompts = await readPrompts(file);
  using generator = await TextGenerator.load(model, { chatTemplate, setting, device, ...options });
  const head = {
    reanchor: packageVersion(),
    model: await fingerprint(generator.folder),
    prompts: digest(generator.encodeAll(prompts)),
    chatTemplate,
    ...decisive(options),
  };
  const journal = (await isDevice(out)) ? undefined : await Journal.open(`${out}.partial`, head);
  try {
    const lines = new Map<string, CompletionLine>();
    const keyOf = (index: number, sample: number) => `${index} ${sample}`;
    for (const line of (journal?.earlier ?? []) as CompletionLine[]) lines.set(keyOf(line.index, line.sample), line);
    const of = prompts.length * (options.samples ?? 1);
    const earlier = lines.size;
    if (earlier > 0) onResume?.(earlier, of);
    await generator.complete(prompts, {
      ...options,
      isWanted: (prompt, sample) => !lines.has(keyOf(prompt, sample)),
      onProgress: ({ done, tokens }) => options.onProgress?.({ done: earlier + done, of, tokens }),
      onCompletion: async (completion) => {
        const line = lineOf(prompts, completion);
        lines.set(keyOf(line.index, line.sample), line);
        await journal?.add(line);
      },
    });
    const order = [...lines.values()].sort((a, b) => a.index - b.index || a.sample - b.sample);
    await writeJsonl(out, order);
    await journal?.remove();
    return order.length;
  } catch (error) {
    await journal?.close().catch(() => {});
    throw error;
  }
}

function lineOf(prompts: readonly Prompt[], completion: TextCompletion): CompletionLine {
  const { prompt: index, sample, text, tokens, logprob, finish, stopToken, stopString } = completion;
  const line = { index, sample, prompt: prompts[index]!, completion: text, tokens: tokens.length, logprob };
  return { ...line, finish, stopToken, stopString, ids: [...tokens] };
}

/** The prompts of a JSONL file. Errors: UserError for a file without rows; FormatError for a row without a prompt. */
export async function readPrompts(file: string): Promise<Prompt[]> {
  const allowed = 'a row is {"prompt": text}, {"prompt": [{"role", "content"}, ...]} or {"messages": [...]}';
  const prompts: Prompt[] = [];
  for await (const { line, value } of readJsonl(file)) {
    const wrong = (message: string) => new FormatError(message, { file, where: String(line) });
    if (!isRecord(value)) throw wrong(`not an object; ${allowed}`);
    const fields = new Fields(value, wrong, allowed);
    const name = fields.has('prompt') || !fields.has('messages') ? 'prompt' : 'messages';
    const prompt = fields.isList(name) ? fields.messages(name) : fields.text(name);
    if (typeof prompt !== 'string') {
      if (prompt.length === 0) throw fields.fault(name, 'is a chat without messages');
      if (prompt.at(-1)!.role === 'assistant')
        throw fields.fault(name, 'ends with an answer of the assistant, which is what is to be written: leave it out');
    }
    prompts.push(prompt);
  }
  if (prompts.length === 0) throw new UserError(`${file}: no rows; ${allowed}`);
  return prompts;
}

/** The options that decide what is written. */
function decisive({ maxNewTokens, temperature, topK, topP, stopStrings, samples = 1, seed = 0 }: CompleteOptions) {
  return { maxNewTokens, temperature, topK, topP, stopStrings, samples, seed };
}

/** What tells one state of a model's folder from another: names, sizes and times of its weights. */
async function fingerprint(folder: string): Promise<string> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.safetensors')).sort();
  const stats = await Promise.all(names.map((name) => stat(join(folder, name))));
  return digest(names.map((name, i) => `${name} ${stats[i]!.size} ${stats[i]!.mtimeMs}`));
}

function digest(parts: readonly (string | Int32Array)[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(`${part.length} `).update(part);
  return hash.digest('hex').slice(0, 16);
}

/** Whether results go to a device or pipe, beside which nothing can be kept. */
async function isDevice(out: string): Promise<boolean> {
  const there = await stat(out).catch(() => undefined);
  return there !== undefined && !there.isFile() && !there.isDirectory();
}
