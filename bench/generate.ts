// Time of generation: with the cache of keys and values against computing every text anew for each token, and against
// transformers' `generate`, on the same random weights and prompts, fp32, CPU.
//
//   REANCHOR_PYTHON=python npx tsx bench/generate.ts [--models 10M,70M,135M] [--batches 1,8]
//     [--modes greedy,sample,top-p] [--new-tokens 256] [--prompt-tokens 32] [--rounds 3] [--threads 2] [--no-anew]
//
// The sides take turns; medians of the rounds after a short one to warm up. Greedy texts are compared token by token.
// "anew" is timed at eight lengths of the text, spread evenly, and stands for the sum over all. Without REANCHOR_PYTHON
// only our own two ways are timed. Prints Markdown; --json adds a line with all that was measured.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { noGrad, setNumThreads, tidy } from '@reanchor/torch';
import { type CausalLM, type ConfigJson, generate, initModel, packGroups, saveModel, spanBatch } from 'reanchor';

const { values: flags } = parseArgs({
  options: {
    models: { type: 'string', default: '10M,70M,135M' },
    batches: { type: 'string', default: '1,8' },
    modes: { type: 'string', default: 'greedy,sample,top-p' },
    'new-tokens': { type: 'string', default: '256' },
    'prompt-tokens': { type: 'string', default: '32' },
    rounds: { type: 'string', default: '3' },
    threads: { type: 'string', default: '2' },
    'no-anew': { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});
const [newTokens, promptTokens, rounds, threads] = [
  flags['new-tokens'],
  flags['prompt-tokens'],
  flags.rounds,
  flags.threads,
].map(Number) as [number, number, number, number];

/** The shapes: a small Llama, Pythia-70M, SmolLM2-135M. */
const configs: Record<string, ConfigJson> = {
  '10M': {
    model_type: 'llama',
    vocab_size: 8192,
    hidden_size: 256,
    intermediate_size: 688,
    num_hidden_layers: 8,
    num_attention_heads: 8,
    max_position_embeddings: 2048,
    rms_norm_eps: 1e-5,
    rope_theta: 10000,
    hidden_act: 'silu',
  },
  '70M': {
    model_type: 'gpt_neox',
    vocab_size: 50304,
    hidden_size: 512,
    intermediate_size: 2048,
    num_hidden_layers: 6,
    num_attention_heads: 8,
    max_position_embeddings: 2048,
    rotary_pct: 0.25,
    rotary_emb_base: 10000,
    use_parallel_residual: true,
    hidden_act: 'gelu',
    layer_norm_eps: 1e-5,
  },
  '135M': {
    model_type: 'llama',
    vocab_size: 49152,
    hidden_size: 576,
    intermediate_size: 1536,
    num_hidden_layers: 30,
    num_attention_heads: 9,
    num_key_value_heads: 3,
    max_position_embeddings: 8192,
    rms_norm_eps: 1e-5,
    rope_theta: 100000,
    tie_word_embeddings: true,
    hidden_act: 'silu',
  },
};

/** Ways of choosing tokens, in our words and theirs. */
const modes = {
  greedy: { ours: { temperature: 0 }, theirs: { do_sample: false } },
  sample: { ours: { temperature: 1 }, theirs: { do_sample: true, temperature: 1, top_k: 0, top_p: 1 } },
  'top-p': { ours: { temperature: 1, topP: 0.9 }, theirs: { do_sample: true, temperature: 1, top_k: 0, top_p: 0.9 } },
};
type Mode = keyof typeof modes;

/** A child with transformers in it, which holds one model. */
class Rival {
  readonly #child;
  readonly #lines;

  private constructor(python: string, folder: string) {
    const script = fileURLToPath(new URL('generate.py', import.meta.url));
    this.#child = spawn(python, [script, folder, String(threads)], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  static async start(python: string, folder: string): Promise<{ rival: Rival; versions: Record<string, string> }> {
    const rival = new Rival(python, folder);
    return { rival, versions: await rival.#answer() };
  }

  async #answer<T>(): Promise<T> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error('the Python side ended early');
    return JSON.parse(value) as T;
  }

  run(
    prompts: Int32Array[],
    mode: Mode,
    newTokens: number,
    seed: number,
  ): Promise<{ seconds: number; tokens: number[][] }> {
    const request = { prompts: prompts.map((ids) => [...ids]), newTokens, sampling: modes[mode].theirs, seed };
    this.#child.stdin.write(`${JSON.stringify(request)}\n`);
    return this.#answer();
  }

  [Symbol.dispose](): void {
    this.#child.stdin.end();
  }
}

const seconds = async <T>(work: () => T | Promise<T>): Promise<{ seconds: number; result: T }> => {
  const start = performance.now();
  const result = await work();
  return { seconds: (performance.now() - start) / 1000, result };
};

/** The next token of each text, computed without a cache. */
function nextAnew(model: CausalLM, texts: number[][]): number[] {
  return tidy(() =>
    noGrad(() => {
      const groups = texts.map((ids) => ({ prompt: Int32Array.from(ids), completions: [Int32Array.of(0)] }));
      const batch = spanBatch(packGroups(groups), model);
      return model.hidden(batch).matmul(model.head_VD.t()).argmax(-1).toList();
    }),
  );
}

/** Seconds that all tokens would take without a cache, and how many of those looked at are not the ones given. */
async function anew(model: CausalLM, prompts: Int32Array[], texts: Int32Array[]) {
  const places = Array.from({ length: 8 }, (_, i) => Math.floor(((i + 0.5) * newTokens) / 8));
  let total = 0;
  let different = 0;
  for (const place of places) {
    const begun = prompts.map((ids, b) => [...ids, ...texts[b]!.slice(0, place)]);
    const { seconds: one, result } = await seconds(() => nextAnew(model, begun));
    total += one;
    different += result.filter((token, b) => token !== texts[b]![place]).length;
  }
  return { seconds: (total * newTokens) / places.length, different, of: places.length * prompts.length };
}

interface Case {
  name: string;
  model: CausalLM;
  batch: number;
  mode: Mode;
  rival: Rival | undefined;
}

/** Seconds of each way, a round each; empty where a way is not looked at. */
async function measure({ name, model, batch, mode, rival }: Case) {
  const prompts = Array.from({ length: batch }, (_, b) =>
    Int32Array.from({ length: promptTokens }, (_, i) => (7 * i + 131 * b + 1) % 8192),
  );
  const times = { ours: [] as number[], theirs: [] as number[], anew: [] as number[] };
  for (let round = 0; round <= rounds; round++) {
    const count = round === 0 ? Math.min(newTokens, 16) : newTokens;
    const options = { maxNewTokens: count, ...modes[mode].ours, seed: round, batchSize: batch };
    const ours = await seconds(() => generate(model, prompts, options));
    const theirs = await rival?.run(prompts, mode, count, round);
    if (round === 0) continue;
    times.ours.push(ours.seconds);
    if (theirs) times.theirs.push(theirs.seconds);
    if (mode !== 'greedy') continue;
    const texts = ours.result.map(({ tokens }) => tokens);
    const parted = texts.filter((tokens, b) => theirs && tokens.join() !== theirs.tokens[b]!.join()).length;
    if (parted > 0) console.error(`${name} x ${batch}: ${parted} of ${batch} greedy texts are not transformers'`);
    if (flags['no-anew']) continue;
    const plain = await anew(model, prompts, texts);
    times.anew.push(plain.seconds);
    if (plain.different > 0) console.error(`${name} x ${batch}: ${plain.different} of ${plain.of} tokens differ anew`);
  }
  return times;
}

const median = (values: number[]) => {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
};

const row = (...cells: (string | number)[]) => `| ${cells.join(' | ')} |`;
const table = (head: string[], rows: string[]) =>
  rows.length === 0 ? '' : [row(...head), row(...head.map(() => '---')), ...rows, ''].join('\n');

setNumThreads(threads);
const python = process.env.REANCHOR_PYTHON;
const measured: Record<string, unknown>[] = [];
const againstAnew: string[] = [];
const againstRival: string[] = [];
let rivalName = '';
for (const name of flags.models.split(',')) {
  const folder = mkdtempSync(join(tmpdir(), 'reanchor-bench-'));
  try {
    using model = initModel(configs[name]!, { seed: 1, dtype: 'float32' });
    await saveModel(model, folder);
    const started = python ? await Rival.start(python, folder) : undefined;
    using rival = started?.rival;
    if (started) rivalName = `transformers ${started.versions.transformers}, torch ${started.versions.torch}`;
    for (const batch of flags.batches.split(',').map(Number)) {
      for (const mode of flags.modes.split(',') as Mode[]) {
        if (mode !== 'greedy' && !rival) continue;
        const times = await measure({ name, model, batch, mode, rival });
        measured.push({ name, batch, mode, ...times });
        const [ours, theirs, plain] = [median(times.ours), median(times.theirs), median(times.anew)];
        const perSecond = (total: number) => ((batch * newTokens) / total).toFixed(0);
        const shown = [
          times.anew.length > 0 && row(name, batch, ours.toFixed(2), plain.toFixed(1), `${(plain / ours).toFixed(1)}x`),
          rival && row(name, batch, mode, perSecond(ours), perSecond(theirs), `${(theirs / ours).toFixed(2)}x`),
        ] as const;
        if (shown[0]) againstAnew.push(shown[0]);
        if (shown[1]) againstRival.push(shown[1]);
        console.error(shown.filter(Boolean).join('\n'));
      }
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}

console.log(`${promptTokens} prompt and ${newTokens} new tokens, ${threads} threads, medians of ${rounds} rounds\n`);
console.log(table(['model', 'batch', 'with the cache, s', 'anew, s', 'times'], againstAnew));
console.log(table(['model', 'batch', 'mode', 'reanchor, tokens/s', `${rivalName}, tokens/s`, 'times'], againstRival));
if (flags.json) console.log(JSON.stringify(measured));
