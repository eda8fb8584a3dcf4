import { UsageError } from '../errors.js';
import type { GenerateProgress } from '../generate/index.js';
import type { HubOptions } from '../hub/index.js';
import { runText, trainedModel } from '../runs/index.js';
import { numberFlag } from './flags.js';
import { inProcesses, type ProcessesFlags, type Shared, stoppedCode } from './processes.js';
import { downloadStatus, number } from './progress.js';
import { greedy, type SamplingFlags, samplingOf, stopStringsOf } from './sampling.js';
import { stopOnSignals } from './signals.js';
import type { Terminal } from './terminal.js';

/** The flags of `generate` as commander gives them. */
export interface GenerateFlags extends ProcessesFlags, SamplingFlags {
  model?: string;
  adapter?: string;
  run?: string;
  prompts?: string;
  out?: string;
  prompt?: string;
  chatTemplate?: string;
  samples: string;
  batchSize: string;
  stop: string[];
}

/**
 * `reanchor generate`: completions of the prompts in a file as JSON lines in `--out`, or of one `--prompt`, streamed to
 * stdout as it is written. Returns the exit code: 1 when it was stopped by a signal, 130 of several processes.
 */
export async function generateVerb(flags: GenerateFlags, terminal: Terminal): Promise<number> {
  const isSingle = requireTask(flags);
  const options = optionsOf(flags, isSingle);
  const alone = isSingle ? '--prompt streams one text' : undefined;
  return await inProcesses(flags, { terminal, alone }, (shared) => write(flags, options, shared));
}

async function write(flags: GenerateFlags, options: Options, shared: Shared): Promise<number> {
  const { terminal, world, device } = shared;
  const isSingle = flags.prompt !== undefined;
  using stop = stopOnSignals();
  const signal = shared.signal ? AbortSignal.any([stop.signal, shared.signal]) : stop.signal;
  const hub = { onDownload: downloadStatus(terminal), onNote: (note: string) => terminal.note(note) };
  try {
    await (isSingle ? stream : writeFile)(flags, { ...options, ...hub, world, device, signal }, terminal);
    return 0;
  } catch (error) {
    if (!stop.signal.aborted || error !== stop.signal.reason) throw error;
    terminal.endStatus();
    if (isSingle) terminal.stream('\n');
    const goOn = isSingle ? '' : `: what is done is in ${flags.out}.partial, and the same command goes on from there`;
    terminal.note(`${stop.signal.reason.message}${goOn}`);
    return world === undefined ? 1 : stoppedCode;
  }
}

/** Whether one prompt is given, not a file. Errors: UsageError for flags that contradict each other. */
function requireTask({ prompt, prompts, out }: GenerateFlags): boolean {
  const isSingle = prompt !== undefined;
  if (isSingle === (prompts !== undefined)) {
    throw new UsageError('name either --prompts with a file, or --prompt with a text');
  }
  if (!isSingle && out === undefined) throw new UsageError('--out is missing: the JSONL file to write');
  if (isSingle && out !== undefined) throw new UsageError('--out has no effect with --prompt, which prints its text');
  return isSingle;
}

function optionsOf(flags: GenerateFlags, isSingle: boolean) {
  const options = {
    ...samplingOf(flags),
    samples: numberFlag('--samples', flags.samples, { integer: true, min: 1 }),
    batchSize: numberFlag('--batch-size', flags.batchSize, { integer: true, min: 1 }),
    stopStrings: stopStringsOf(flags.stop),
  };
  if (isSingle && options.samples > 1)
    throw new UsageError('--samples has no effect with --prompt, which streams one text');
  if (options.temperature === 0 && options.samples > 1)
    throw new UsageError(`--samples ${greedy}: all would be the same`);
  const { adapter } = flags;
  if (adapter !== undefined && flags.model === undefined)
    throw new UsageError('--adapter has no effect without --model, the model that it is on');
  const run = flags.run === undefined ? undefined : runText(flags.run);
  const model = flags.model ?? (run && trainedModel(run));
  if (model === undefined) throw new UsageError('--model is missing: name a model, or a run with --run');
  return { ...options, model, adapter, run };
}

type Options = ReturnType<typeof optionsOf>;
type Placed = Options & HubOptions & Pick<Shared, 'world' | 'device'>;

async function stream(
  { prompt, chatTemplate }: GenerateFlags,
  { model, ...options }: Placed,
  terminal: Terminal,
): Promise<void> {
  const { streamText, TextGenerator } = await import('../generate/index.js');
  using generator = await TextGenerator.load(model, { chatTemplate, ...options });
  const { finish } = await streamText(generator, prompt!, options, (piece) => terminal.stream(piece));
  terminal.stream('\n');
  terminal.note(finish === 'stop' ? 'ended by itself' : `cut at --max-new-tokens ${options.maxNewTokens}`);
}

async function writeFile(flags: GenerateFlags, options: Placed, terminal: Terminal): Promise<void> {
  const { generateFile } = await import('../generate/index.js');
  let first: { seconds: number; tokens: number } | undefined;
  const written = await generateFile({
    ...options,
    prompts: flags.prompts!,
    out: flags.out!,
    chatTemplate: flags.chatTemplate,
    onResume: (done, of) => terminal.note(`going on after ${number(done)} of ${number(of)} in ${flags.out}.partial`),
    onProgress(progress) {
      const seconds = performance.now() / 1000;
      first ??= { seconds, tokens: progress.tokens };
      terminal.status(progressText(progress, (progress.tokens - first.tokens) / (seconds - first.seconds)));
    },
  });
  terminal.endStatus();
  terminal.note(`wrote ${number(written)} ${written === 1 ? 'completion' : 'completions'} to ${flags.out}`);
}

function progressText({ done, of }: GenerateProgress, tokensPerSecond: number): string {
  const rate = Number.isFinite(tokensPerSecond) ? `  ${number(Math.round(tokensPerSecond))} tokens/s` : '';
  return `generating ${number(done)} of ${number(of)}${rate}`;
}
