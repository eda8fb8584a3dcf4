import { createHash } from 'node:crypto';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type Content,
  foldersOf,
  loadPrompts,
  type ModelPlace,
  modelPlace,
  type PromptText,
  promptColumns,
  sourceRecords,
} from '../data/index.js';
import { Journal, requireWritable, writeJsonl } from '../formats/index.js';
import type { HubOptions } from '../hub/index.js';
import { tell } from '../parallel/tell.js';
import { afterRankZero, leads, requireSame } from '../parallel/together.js';
import { packageVersion } from '../version.js';
import {
  type CompleteOptions,
  type TextCompletion,
  TextGenerator,
  type TextGeneratorOptions,
} from './text-generator.js';

/** The file of prompts that is completed, by which model, and the file that is written. */
export interface GenerateFileOptions extends Omit<CompleteOptions, 'isWanted' | 'onCompletion'>, HubOptions {
  /** The model: a Hugging Face folder, or owner/name on the Hub. */
  model: string;
  /** The adapter on it, named so too. */
  adapter?: string | undefined;
  /** File of rows with a `prompt`, a text or a list of messages, or with `messages`. */
  prompts: string;
  /** The JSONL file to be written. */
  out: string;
  /** As in `TextGeneratorOptions`. */
  chatTemplate?: string | undefined;
  run?: TextGeneratorOptions['run'];
  device?: string | undefined;
  /** Hears, before the work begins, how many completions an earlier run has left, if any. */
  onResume?: ((done: number, of: number) => void) | undefined;
}

/** A line of the file that is written. */
export interface CompletionLine {
  /** The row of the prompt, and the completion's place among its samples, from 0. */
  index: number;
  sample: number;
  prompt: Content;
  /** What the row of the prompt had besides for a chat template. */
  system?: string;
  tools?: readonly unknown[];
  documents?: readonly unknown[];
  chat_template_kwargs?: Readonly<Record<string, unknown>>;
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
 * until then every completion that is done is kept in `<out>.partial`, and the same call goes on from there. Of several
 * processes (`world`) rank 0 alone writes. Returns the number of lines. Errors: UserError, also for an `<out>.partial`
 * of other work; FormatError; DistributedError.
 */
export async function generateFile({
  model,
  adapter,
  prompts: file,
  out,
  chatTemplate,
  run,
  device,
  onResume,
  ...options
}: GenerateFileOptions): Promise<number> {
  const { world } = options;
  const isWriter = leads(world);
  const { prompts, place } = await afterRankZero(world, async () => {
    if (isWriter) await requireWritable(out, 0);
    return {
      prompts: await readPrompts(file, options.onNote),
      place: await modelPlace(model, { ...options, adapter }),
    };
  });
  using generator = await TextGenerator.load(place, { chatTemplate, run, device, ...options });
  const head = {
    reanchor: packageVersion(),
    model: await fingerprint(place),
    prompts: digest(generator.encodeAll(prompts)),
    chatTemplate,
    ...decisive(options),
  };
  const journal = isWriter && !(await isDevice(out)) ? await Journal.open(`${out}.partial`, head) : undefined;
  try {
    const sizes = (await weightFiles(place)).map(({ name, size }) => `${name} ${size}`);
    requireSame(world, { model: digest(sizes), prompts: head.prompts });
    const lines = new Map<string, CompletionLine>();
    const keyOf = (index: number, sample: number) => `${index} ${sample}`;
    for (const line of (journal?.earlier ?? []) as CompletionLine[]) lines.set(keyOf(line.index, line.sample), line);
    const of = prompts.length * (options.samples ?? 1);
    const earlier = new Set(tell(world, [...lines.keys()]));
    if (earlier.size > 0) onResume?.(earlier.size, of);
    await generator.complete(prompts, {
      ...options,
      isWanted: (prompt, sample) => !earlier.has(keyOf(prompt, sample)),
      onProgress: ({ done, tokens }) => options.onProgress?.({ done: earlier.size + done, of, tokens }),
      onCompletion: async (completion) => {
        if (!isWriter) return;
        const line = lineOf(prompts, completion);
        lines.set(keyOf(line.index, line.sample), line);
        await journal?.add(line);
      },
    });
    if (!isWriter) return of;
    const order = [...lines.values()].sort((a, b) => a.index - b.index || a.sample - b.sample);
    await writeJsonl(out, order);
    await journal?.remove();
    return order.length;
  } catch (error) {
    await journal?.close().catch(() => {});
    throw error;
  }
}

/** The prompts of a file of rows: see `loadPrompts`. */
export function readPrompts(file: string, onNote?: (note: string) => void): Promise<PromptText[]> {
  return loadPrompts(sourceRecords([file]), { name: file, onNote });
}

function lineOf(prompts: readonly PromptText[], completion: TextCompletion): CompletionLine {
  const { prompt: index, sample, text, tokens, logprob, finish, stopToken, stopString } = completion;
  const line = { index, sample, ...promptColumns(prompts[index]!), completion: text, tokens: tokens.length, logprob };
  return { ...line, finish, stopToken, stopString, ids: [...tokens] };
}

/** The options that decide what is written. */
function decisive({ maxNewTokens, temperature, topK, topP, stopStrings, samples = 1, seed = 0 }: CompleteOptions) {
  return { maxNewTokens, temperature, topK, topP, stopStrings, samples, seed };
}

/** What tells one state of a model's folders from another: names, sizes and times of its weights. */
async function fingerprint(place: ModelPlace): Promise<string> {
  const files = await weightFiles(place);
  return digest(files.map(({ name, size, mtimeMs }) => `${name} ${size} ${mtimeMs}`));
}

async function weightFiles(place: ModelPlace) {
  const found = foldersOf(place).map(async (folder) => {
    const names = (await readdir(folder)).filter((name) => name.endsWith('.safetensors')).sort();
    return await Promise.all(names.map(async (name) => ({ name, ...(await stat(join(folder, name))) })));
  });
  return (await Promise.all(found)).flat();
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
