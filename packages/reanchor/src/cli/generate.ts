import { UsageError } from '../errors.js';
import { numberFlag } from './flags.js';
import { downloadStatus } from './progress.js';
import type { Terminal } from './terminal.js';

/** The flags of `generate` as commander gives them. */
export interface GenerateFlags {
  model: string;
  prompts?: string;
  out?: string;
  prompt?: string;
  maxNewTokens: string;
  temperature: string;
  topK?: string;
  topP?: string;
  samples: string;
  seed: string;
  stop: string[];
}

/**
 * `reanchor generate`: completions of the prompts in a file as JSON lines in `--out`, or of one `--prompt`, streamed to
 * stdout as it is written.
 */
export async function generateVerb(flags: GenerateFlags, terminal: Terminal): Promise<void> {
  const isSingle = flags.prompt !== undefined;
  if (isSingle === (flags.prompts !== undefined)) {
    throw new UsageError('name either --prompts with a file, or --prompt with a text');
  }
  if (!isSingle && flags.out === undefined) throw new UsageError('--out is missing: the JSONL file to write');
  if (isSingle && flags.out !== undefined)
    throw new UsageError('--out has no effect with --prompt, which prints its text');
  const options = {
    maxNewTokens: numberFlag('--max-new-tokens', flags.maxNewTokens, { integer: true, min: 1 }),
    temperature: numberFlag('--temperature', flags.temperature, {}),
    topK: flags.topK === undefined ? undefined : numberFlag('--top-k', flags.topK, { integer: true, min: 1 }),
    topP: flags.topP === undefined ? undefined : numberFlag('--top-p', flags.topP, { above: true, max: 1 }),
    samples: numberFlag('--samples', flags.samples, { integer: true, min: 1 }),
    seed: numberFlag('--seed', flags.seed, { integer: true }),
    stopStrings: flags.stop,
    onDownload: downloadStatus(terminal),
    onNote: (note: string) => terminal.note(note),
  };
  if (isSingle && options.samples > 1)
    throw new UsageError('--samples has no effect with --prompt, which streams one text');
  const { generateFile, streamText } = await import('../generate/index.js');
  if (isSingle) {
    const finish = await streamText({ model: flags.model, prompt: flags.prompt!, ...options }, (piece) =>
      terminal.stream(piece),
    );
    terminal.stream('\n');
    terminal.note(finish === 'stop' ? 'ended by itself' : `cut at --max-new-tokens ${options.maxNewTokens}`);
    return;
  }
  const written = await generateFile({
    model: flags.model,
    prompts: flags.prompts!,
    out: flags.out!,
    ...options,
    onProgress: (done, of) => terminal.status(`generating ${done} of ${of}`),
  });
  terminal.endStatus();
  terminal.note(`wrote ${written} completions to ${flags.out}`);
}
