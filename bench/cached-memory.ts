// Peak memory of training with a copied reference, a cached one, and none: one process for each.
//
//   npx tsx bench/cached-memory.ts copy|cached|none [steps = 6] [threads = 2]
//
// A random Llama of 31M parameters, 8 random pairs of 256 tokens a step, hard update every 2 steps. Prints one JSON
// line.
import { memory, setNumThreads, zeros } from '@reanchor/torch';
import { CachedReference, CopiedReference, initModel, planSteps, type ReferencePolicy, Weights } from 'reanchor';
import { dpo, dpoTrainer, madeUpPairs } from './dpo.js';

const [mode = 'cached', steps = '6', threads = '2'] = process.argv.slice(2);
setNumThreads(Number(threads));
const vocabulary = 8192;
const policy = initModel(
  {
    model_type: 'llama',
    vocab_size: vocabulary,
    hidden_size: 512,
    intermediate_size: 1376,
    num_hidden_layers: 8,
    num_attention_heads: 8,
    max_position_embeddings: 1024,
    tie_word_embeddings: true,
  },
  { seed: 1, dtype: 'float32' },
);
using weights = new Weights(policy);
const pairs = madeUpPairs(Array(8 * Number(steps)).fill([128, 64, 64]), vocabulary);
const plan = { batchSize: 8, tokensPerMicroBatch: 4096, epochs: 1, seed: 1, shuffle: false };
const upcoming = function* (step: number) {
  for (const planned of planSteps(new Array(pairs.length).fill(256), plan, step)) yield dpo.layOut(planned, pairs);
};
const rule = { update: 'hard', tau: 2 } as const;

/** Log-probabilities out of nowhere: what training costs without any reference. */
const nothing: ReferencePolicy = {
  version: 0,
  isHalted: false,
  startsAtPolicy: false,
  model: undefined,
  isPreparing: false,
  prepare: async () => {},
  logprobs: ({ keys }) => zeros([keys.length], { dtype: 'float64' }),
  beforeStep: () => {},
  afterStep: () => undefined,
  observe: () => {},
  distance: () => undefined,
  checksums: () => [],
  sharesPolicy: () => false,
  state: () => ({ kind: 'cached', version: 0, sweptTo: 0, needsInitial: false }),
  save: async () => {},
  takePart: async () => {},
  restore: async () => {},
  [Symbol.dispose]: () => {},
};
const reference =
  mode === 'copy'
    ? new CopiedReference(weights, rule)
    : mode === 'cached'
      ? new CachedReference(policy, { rule, totalSteps: Number(steps), upcoming })
      : nothing;
using trainer = dpoTrainer(weights, reference);
let step = 0;
for (const batches of upcoming(1)) {
  await reference.prepare(++step);
  trainer.step(batches);
}
console.log(JSON.stringify({ mode, peak_rss_mb: Math.round(memory().peakRss / 2 ** 20) }));
