// Peak memory and time of a DPO training step, for comparison with tests/oracle/step_memory.py on the same model and
// pairs.
//
//   npx tsx bench/step-memory.ts MODEL_FOLDER PAIRS.jsonl[.gz] [pairs a step = 4]
//     [max length = 512] [steps = 5] [threads = 2]
//
// Prints one JSON line: peak resident memory, resident memory once libtorch is loaded, seconds a step, packed tokens a
// step.
import { memory, setNumThreads, zeros } from '@reanchor/torch';
import { CopiedReference, loadPreferenceRows, loadTokenizer, loadWeights, stepMetrics, tokenizePairs } from 'reanchor';
import { dpo, dpoTrainer } from './dpo.js';

const [folder, file, size = '4', maxLength = '512', steps = '5', threads = '2'] = process.argv.slice(2);
setNumThreads(Number(threads));
zeros([1]).dispose();
const baseline = memory().rss;

const rows = await loadPreferenceRows([file!], { format: 'hh', limit: 4 * Number(size) });
const { pairs } = tokenizePairs(rows, await loadTokenizer(folder!), {
  maxLength: Number(maxLength),
  keepIdentical: false,
});
using policy = await loadWeights(folder!, { dtype: 'float32' });
using reference = new CopiedReference(policy, { update: 'fixed' });
using trainer = dpoTrainer(policy, reference);
if (pairs.length < Number(size)) throw new Error(`${file} has ${pairs.length} pairs that fit, ${size} are needed`);
const positions = Array.from({ length: Number(size) }, (_, i) => i);
const batches = dpo.layOut({ step: 1, epoch: 0, microBatches: [positions] }, pairs);
const seconds: number[] = [];
const losses: number[] = [];
for (let step = 0; step < Number(steps); step++) {
  const start = performance.now();
  const result = trainer.step(batches);
  seconds.push((performance.now() - start) / 1000);
  losses.push(stepMetrics(result, dpo).loss!);
}
const megabytes = (bytes: number) => Math.round(bytes / 2 ** 20);
console.log(
  JSON.stringify({
    peak_rss_mb: megabytes(memory().peakRss),
    baseline_rss_mb: megabytes(baseline),
    seconds_per_step: seconds.slice(1).sort((a, b) => a - b)[(seconds.length - 1) >> 1],
    packed_tokens: batches[0]!.policy.tokens.length,
    losses,
  }),
);
