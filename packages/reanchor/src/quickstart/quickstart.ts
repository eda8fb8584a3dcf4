/** A whole experiment on one machine in minutes: a model from nothing, pairs, three alignments, what came of them. */
import { existsSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setNumThreads } from '@reanchor/torch';
import { train } from '../driver/index.js';
import { UserError } from '../errors.js';
import { readFile, writeFileAtomic, writeFolderAtomic, writeJsonl } from '../formats/index.js';
import { generate } from '../generate/index.js';
import { initModel } from '../models/init.js';
import { loadModel } from '../models/load.js';
import { saveModel } from '../models/save.js';
import { lineChart } from '../plots/index.js';
import { parseRecipe, type RecipeInput } from '../recipe/index.js';
import { finalState, runFolder } from '../runs/index.js';
import { loadBeginnings, loadGold, loadPassages } from '../sweep/index.js';
import { loadTokenizer, trainBpe } from '../text/index.js';
import { type Measured, measure } from './measure.js';
import { type QuickstartSettings, quickstartVariants } from './settings.js';

export interface QuickstartOptions {
  /** The folder of the experiment; what is in it already is not done again. */
  out: string;
  settings: QuickstartSettings;
  seed: number;
  /** CPU threads; the numbers depend on them in their last digits. */
  threads: number;
  /** Hears what is being done, and how much of it is done, from 0 to 1. */
  onProgress?: ((stage: string, done: number) => void) | undefined;
  signal?: AbortSignal | undefined;
}

/** What came of one variant, measured over training. */
export interface QuickstartResult {
  name: string;
  measured: Measured[];
}

interface Experiment extends QuickstartOptions {
  corpus: { passages: string[]; prompts: string[]; heldOutPrompts: string[] };
  progress(stage: string, done: number): void;
}

/**
 * The experiment: a small Llama with a tokenizer of its own learns to write from real addresses (SFT); pairs are
 * sampled from it, the completion with the larger gold reward chosen; DPO, TR-DPO soft and TR-DPO hard train from
 * there; what they write on held-out prompts is measured all along. Every stage leaves its result in the folder, whole
 * or not at all, so that a run that was stopped goes on where it was. Errors: UserError; the signal's reason once it is
 * aborted.
 */
export async function quickstart(options: QuickstartOptions): Promise<QuickstartResult[]> {
  const { out, settings, seed, threads, onProgress, signal } = options;
  setNumThreads(threads);
  await requireSameSettings(options);
  const corpus = {
    passages: await loadPassages(),
    prompts: await loadBeginnings('trained', { count: settings.pairs.prompts, seed }),
    heldOutPrompts: await loadBeginnings('heldOut', { count: settings.measure.prompts, seed }),
  };
  const progress = (stage: string, done: number) => onProgress?.(stage, done);
  const experiment: Experiment = { ...options, corpus, progress };
  const start = await once(join(out, 'start'), (folder) => makeModel(experiment, folder));
  const sft = await trainOnce(experiment, 'sft', 'learning to write', {
    model: start,
    method: 'sft',
    data: { train: await corpusFile(experiment), maxLength: settings.sft.maxLength, loss: 'full' },
    batch: { size: settings.sft.batchSize },
    optimizer: { lr: settings.sft.lr, betas: [0.9, 0.95] },
    schedule: { type: 'linear', warmupSteps: 20 },
    steps: settings.sft.steps,
    seed,
    threads,
  });
  const pairs = join(out, 'pairs.jsonl');
  if (!existsSync(pairs)) await samplePairs(experiment, sft, pairs);
  signal?.throwIfAborted();
  const results: QuickstartResult[] = [];
  for (const variant of quickstartVariants(settings.preference.steps)) {
    results.push({ name: variant.name, measured: await align(experiment, sft, pairs, variant) });
  }
  await writeFileAtomic(join(out, 'gold-against-kl.svg'), picture(results));
  return results;
}

/** A folder holds one experiment: another seed or size would mix with what is there. */
async function requireSameSettings({ out, settings, seed, threads }: QuickstartOptions): Promise<void> {
  await mkdir(out, { recursive: true });
  const file = join(out, 'settings.json');
  const text = `${JSON.stringify({ settings, seed, threads }, null, 2)}\n`;
  const there = existsSync(file) ? await readFile(file, 'utf8') : undefined;
  if (there === undefined) await writeFileAtomic(file, text);
  else if (there !== text) {
    throw new UserError(
      (option) =>
        `${out} holds an experiment with another seed, size or number of threads: name another folder with ${option('out')}`,
    );
  }
}

/** The folder, made by `make` unless it is there. */
async function once(folder: string, make: (temporary: string) => Promise<void>): Promise<string> {
  if (!existsSync(folder)) await writeFolderAtomic(folder, make);
  return folder;
}

async function makeModel({ corpus, settings, seed, progress }: Experiment, folder: string): Promise<void> {
  progress('learning a tokenizer', 0);
  const { vocabularySize, width, feedForward, layers, heads } = settings.model;
  const files = trainBpe(corpus.passages.slice(0, settings.tokenizerPassages), { vocabSize: vocabularySize });
  await writeFile(join(folder, 'tokenizer.json'), JSON.stringify(files.definition));
  await writeFile(join(folder, 'tokenizer_config.json'), JSON.stringify(files.config));
  using model = initModel(
    {
      model_type: 'llama',
      vocab_size: vocabularySize,
      hidden_size: width,
      intermediate_size: feedForward,
      num_hidden_layers: layers,
      num_attention_heads: heads,
      num_key_value_heads: heads,
      max_position_embeddings: 256,
      rms_norm_eps: 1e-5,
      rope_theta: 10_000,
      tie_word_embeddings: true,
      bos_token_id: 0,
      eos_token_id: 0,
      torch_dtype: 'float32',
    },
    { seed, dtype: 'float32' },
  );
  await saveModel(model, folder);
}

async function corpusFile({ out, corpus }: Experiment): Promise<string> {
  const file = join(out, 'passages.jsonl');
  if (!existsSync(file))
    await writeJsonl(
      file,
      corpus.passages.map((text) => ({ text: `<|endoftext|>${text}` })),
    );
  return file;
}

/** The trained model of a recipe; a run that was stopped on the way is made again. */
async function trainOnce(
  experiment: Experiment,
  name: string,
  stage: string,
  recipe: RecipeInput,
  probe?: Parameters<typeof train>[0]['probe'],
) {
  const folder = join(experiment.out, name);
  const places = runFolder(folder);
  if ((await finalState(places)) === 'whole') return places.final;
  await rm(folder, { recursive: true, force: true });
  const { steps: taken } = await train({
    recipe: parseRecipe(JSON.stringify({ ...recipe, device: 'cpu' }), { file: `${name}.yaml`, env: {} }),
    out: folder,
    command: ['reanchor', 'quickstart'],
    onEvent: (event) => event.type === 'step' && experiment.progress(stage, event.step / recipe.steps!),
    signal: experiment.signal,
    probe,
  });
  experiment.signal?.throwIfAborted();
  if (taken !== recipe.steps) throw new Error(`internal: ${taken} steps were made of ${recipe.steps}`);
  return places.final;
}

/** Completions of every prompt, the one with the largest gold reward chosen, the one with the smallest rejected. */
async function samplePairs(
  { corpus, settings, seed, progress, signal }: Experiment,
  sft: string,
  file: string,
): Promise<void> {
  const tokenizer = await loadTokenizer(sft);
  const gold = await loadGold();
  using model = await loadModel(sft, { dtype: 'float32' });
  const { samples, maxNewTokens } = settings.pairs;
  const texts = await generate(
    model,
    corpus.prompts.map((prompt) => Int32Array.from(tokenizer.encode(prompt))),
    {
      maxNewTokens,
      temperature: 1,
      samples,
      seed,
      stopTokens: tokenizer.eosId === undefined ? [] : [tokenizer.eosId],
      batchSize: 128,
      onProgress: ({ done, of }) => progress('sampling pairs', done / of),
      signal,
    },
  );
  const pairs = corpus.prompts.flatMap((prompt, i) => {
    const ranked = texts
      .slice(i * samples, (i + 1) * samples)
      .map(({ tokens }) => tokenizer.decode(tokens))
      .map((text) => ({ text, reward: gold(text) }))
      .sort((a, b) => b.reward - a.reward);
    const [best, worst] = [ranked[0]!, ranked.at(-1)!];
    return best.reward > worst.reward ? [{ prompt, chosen: best.text, rejected: worst.text }] : [];
  });
  await writeJsonl(file, pairs);
}

async function align(
  experiment: Experiment,
  sft: string,
  pairs: string,
  variant: ReturnType<typeof quickstartVariants>[number],
): Promise<Measured[]> {
  const { out, settings, seed, threads, corpus, signal } = experiment;
  const file = join(out, `${variant.folder}.json`);
  if (existsSync(file)) return JSON.parse(await readFile(file, 'utf8')) as Measured[];
  await rm(join(out, variant.folder), { recursive: true, force: true });
  using start = await loadModel(sft, { dtype: 'float32' });
  const [tokenizer, gold] = [await loadTokenizer(sft), await loadGold()];
  const measured: Measured[] = [];
  const { maxNewTokens } = settings.pairs;
  const probe = {
    every: settings.measure.every,
    async measure(policy: Parameters<typeof measure>[0], step: number) {
      const prompts = corpus.heldOutPrompts;
      const result = await measure(policy, step, {
        sft: start,
        tokenizer,
        gold,
        prompts,
        maxNewTokens,
        seed,
        shown: 3,
        signal,
      });
      measured.push(result);
      const { gold: reward, kl, distinct2, samples } = result;
      return { metrics: { 'gold/reward': reward, 'kl/initial': kl, 'samples/distinct2': distinct2 }, samples };
    },
  };
  const { steps, batchSize, lr, beta } = settings.preference;
  await trainOnce(
    experiment,
    variant.folder,
    variant.name,
    {
      model: sft,
      method: 'dpo',
      loss: { beta },
      reference: variant.reference,
      data: { train: pairs, format: 'explicit' },
      batch: { size: batchSize },
      optimizer: { lr, betas: [0.9, 0.95] },
      schedule: { type: 'linear', warmupSteps: 10 },
      steps,
      seed,
      threads,
    },
    probe,
  );
  await writeFileAtomic(file, `${JSON.stringify(measured, null, 1)}\n`);
  return measured;
}

/** Gold reward against the distance from the SFT model, a line for every variant, a point for every measurement. */
function picture(results: readonly QuickstartResult[]): string {
  return lineChart({
    title: 'Gold reward against KL to the SFT model',
    description:
      'Each line is a training run; its points are measurements on held-out prompts, from left to right over training.',
    xLabel: 'KL(policy || SFT model), nats per completion',
    yLabel: 'gold reward',
    series: results.map(({ name, measured }) => ({
      name,
      points: measured.map(({ kl, gold }) => [kl, gold] as const),
      dots: true,
    })),
  });
}
