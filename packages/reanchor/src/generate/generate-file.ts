import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { FormatError, UserError } from '../errors.js';
import { readJsonl, requireWritable, writeJsonl } from '../formats/index.js';
import { type HubOptions, modelFolder } from '../hub/index.js';
import { loadModel } from '../models/load.js';
import { loadTokenizer, type Tokenizer } from '../text/tokenizer.js';
import { type GenerateOptions, generate } from './generate.js';

interface ModelOptions extends Omit<GenerateOptions, 'stopTokens' | 'decode' | 'onToken'>, HubOptions {
  /** The model: a Hugging Face folder, or owner/name on the Hub. */
  model: string;
}

export interface GenerateFileOptions extends ModelOptions {
  /** JSONL file (also .gz) of rows with a text `prompt`. */
  prompts: string;
  /** The JSONL file to be written. */
  out: string;
}

/**
 * Writes a JSON line for each completion, in the order of prompts: `{"index", "sample", "prompt", "completion",
 * "tokens", "logprob", "finish"}`; `logprob` is the sum over the completion's tokens, nats. The model computes in fp32.
 * The file appears whole or not at all. Returns the number of lines. Errors: UserError, FormatError.
 */
export async function generateFile({
  model: name,
  prompts: file,
  out,
  ...options
}: GenerateFileOptions): Promise<number> {
  await requireWritable(out, 0);
  const prompts: string[] = [];
  for await (const { line, value } of readJsonl(file)) {
    const prompt = (value as { prompt?: unknown } | null)?.prompt;
    if (typeof prompt !== 'string') {
      throw new FormatError('the row has no text "prompt"; a row is {"prompt": text}', { file, where: String(line) });
    }
    prompts.push(prompt);
  }
  if (prompts.length === 0) throw new UserError(`${file}: no rows; a row is {"prompt": text}`);
  const folder = await modelFolder(name, options);
  const tokenizer = await loadTokenizer(folder);
  using model = await loadModel(folder, { dtype: 'float32' });
  const texts = await generate(
    model,
    prompts.map((prompt) => tokenIds(tokenizer, prompt)),
    {
      ...options,
      stopTokens: stopTokens(folder, tokenizer),
      decode: (tokens) => tokenizer.decode([...tokens]),
    },
  );
  await writeJsonl(
    out,
    texts.map(({ prompt: index, sample, text, tokens, logprobs, finish }) => ({
      index,
      sample,
      prompt: prompts[index]!,
      completion: text!,
      tokens: tokens.length,
      logprob: logprobs.reduce((sum, logprob) => sum + logprob, 0),
      finish,
    })),
  );
  return texts.length;
}

/** Hands the text after one prompt to `write`, piece by piece; returns why it ended. Errors: UserError, FormatError. */
export async function streamText(
  { model: name, prompt, ...options }: ModelOptions & { prompt: string },
  write: (piece: string) => void,
): Promise<'stop' | 'length'> {
  const folder = await modelFolder(name, options);
  const tokenizer = await loadTokenizer(folder);
  using model = await loadModel(folder, { dtype: 'float32' });
  const tokens: number[] = [];
  let written = '';
  // The longest stop string may still be growing at the end of the text, and a character may be half there.
  const held = Math.max(0, ...(options.stopStrings ?? []).map((stop) => stop.length - 1));
  const [text] = await generate(model, [tokenIds(tokenizer, prompt)], {
    ...options,
    stopTokens: stopTokens(folder, tokenizer),
    decode: (ids) => tokenizer.decode([...ids]),
    onToken: (_prompt, _sample, token) => {
      tokens.push(token);
      const soFar = tokenizer.decode(tokens);
      const safe = soFar.slice(0, soFar.length - held);
      if (safe.endsWith('\ufffd') || !safe.startsWith(written) || endsIn(soFar, options.stopStrings ?? [])) return;
      write(safe.slice(written.length));
      written = safe;
    },
  });
  write(text!.text!.slice(written.length));
  return text!.finish;
}

const endsIn = (text: string, stops: readonly string[]) => stops.some((stop) => text.includes(stop));

const tokenIds = (tokenizer: Tokenizer, prompt: string) => Int32Array.from(tokenizer.encode(prompt));

/** The tokens that end a text: those of generation_config.json, or the tokenizer's EOS token. */
function stopTokens(folder: string, tokenizer: Tokenizer): number[] {
  const file = join(folder, 'generation_config.json');
  const given = existsSync(file)
    ? (JSON.parse(readFileSync(file, 'utf8')) as { eos_token_id?: unknown }).eos_token_id
    : undefined;
  const named = [given].flat().filter((id): id is number => Number.isInteger(id));
  if (named.length > 0) return named;
  const eos = tokenizer.eosToken;
  return eos === undefined ? [] : tokenizer.encode(eos).slice(-1);
}
