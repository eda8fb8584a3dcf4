// Memory and time of training on prompts of 8,192 tokens with two answers of 512 each, at a vocabulary of 128,256: with
// and without activation checkpointing, one process for each.
//
//   npx tsx bench/long-prompt.ts [steps = 3] [threads = 2]
//
// The model is a random Llama of 91M parameters (8 blocks of width 512). Prints a Markdown table.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { memory, setNumThreads, zeros } from '@reanchor/torch';
import { CachedReference, initModel, Weights } from 'reanchor';
import { dpo, dpoTrainer, madeUpPairs } from './dpo.js';

const vocabulary = 128_256;
const [prompt, answer] = [8192, 512];
const [steps = '3', threads = '2', mode] = process.argv.slice(2);

if (mode === undefined) compare();
else await measure(mode === 'checkpointed');

function compare(): void {
  const [plain, checkpointed] = ['plain', 'checkpointed'].map((mode) => {
    const args = ['--import', 'tsx', fileURLToPath(import.meta.url), steps, threads, mode];
    const { stdout, status } = spawnSync(process.execPath, args, {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, OMP_WAIT_POLICY: 'PASSIVE' },
    });
    if (status !== 0) throw new Error(`bench/long-prompt.ts ${mode} failed`);
    return JSON.parse(stdout) as { peakMb: number; seconds: number };
  });
  const gigabytes = (mb: number) => `${(mb / 1024).toFixed(2)} GB`;
  const padded = (2 * (prompt + answer) * vocabulary * 4) / 2 ** 20;
  const row = (name: string, { peakMb, seconds }: { peakMb: number; seconds: number }) =>
    `| ${name} | ${gigabytes(peakMb)} | ${seconds.toFixed(1)} s |`;
  console.log(
    [
      `| ${prompt}-token prompt, 2 x ${answer}, V = ${vocabulary} | peak RSS | a step |`,
      '|---|---|---|',
      row('all activations', plain!),
      row('activation checkpointing', checkpointed!),
      `| logits alone of the two padded rows (B x T x V) | ${gigabytes(padded)} | |`,
    ].join('\n'),
  );
}

async function measure(activationCheckpointing: boolean): Promise<void> {
  setNumThreads(Number(threads));
  zeros([1]).dispose();
  const policy = initModel(
    {
      model_type: 'llama',
      vocab_size: vocabulary,
      hidden_size: 512,
      intermediate_size: 1536,
      num_hidden_layers: 8,
      num_attention_heads: 8,
      num_key_value_heads: 2,
      max_position_embeddings: prompt + answer,
      tie_word_embeddings: true,
    },
    { seed: 1, dtype: 'float32' },
  );
  using weights = new Weights(policy);
  const pairs = madeUpPairs(Array(Number(steps)).fill([prompt, answer, answer]), vocabulary);
  const laidOut = (step: number) => dpo.layOut({ step, epoch: 0, microBatches: [[step - 1]] }, pairs);
  using reference = new CachedReference(policy, {
    rule: { update: 'hard', tau: 1 },
    totalSteps: Number(steps),
    upcoming: function* (step) {
      for (let s = step; s <= Number(steps); s++) yield laidOut(s);
    },
  });
  using trainer = dpoTrainer(weights, reference, activationCheckpointing);
  const seconds: number[] = [];
  for (let step = 1; step <= Number(steps); step++) {
    await reference.prepare(step);
    const begun = performance.now();
    trainer.step(laidOut(step));
    seconds.push((performance.now() - begun) / 1000);
  }
  console.log(JSON.stringify({ peakMb: memory().peakRss / 2 ** 20, seconds: Math.min(...seconds) }));
}
