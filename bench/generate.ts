// Time of greedy generation with the cache of keys and values against computing the whole text anew for every token.
//
//   npx tsx bench/generate.ts [new tokens = 256] [repeats = 3] [threads = 2]
//
// A random Llama of 10M parameters; medians, the two taking turns. Prints one JSON line.
import { noGrad, setNumThreads, tidy } from '@reanchor/torch';
import { generate, initModel, packGroups, spanBatch } from 'reanchor';

const [newTokens = 256, repeats = 3, threads = 2] = process.argv.slice(2).map(Number);
setNumThreads(threads);
using model = initModel(
  {
    model_type: 'llama',
    vocab_size: 8192,
    hidden_size: 256,
    intermediate_size: 688,
    num_hidden_layers: 8,
    num_attention_heads: 8,
    max_position_embeddings: 1024,
  },
  { seed: 1, dtype: 'float32' },
);
const prompt = Int32Array.from({ length: 16 }, (_, i) => 7 * i + 1);

/** The same tokens without a cache. */
function anew(): number[] {
  const ids = [...prompt];
  for (let step = 0; step < newTokens; step++) {
    tidy(() =>
      noGrad(() => {
        const batch = spanBatch(
          packGroups([{ prompt: Int32Array.from(ids), completions: [Int32Array.of(0)] }]),
          model.dtype,
        );
        ids.push(model.hidden(batch).matmul(model.head_VD.t()).argmax(-1).item());
      }),
    );
  }
  return ids.slice(prompt.length);
}

const seconds = { cached: [] as number[], anew: [] as number[] };
const timed = async <T>(name: keyof typeof seconds, work: () => T | Promise<T>): Promise<T> => {
  const start = performance.now();
  const result = await work();
  seconds[name].push((performance.now() - start) / 1000);
  return result;
};
for (let i = 0; i <= repeats; i++) {
  const [text] = await timed('cached', () => generate(model, [prompt], { maxNewTokens: newTokens, temperature: 0 }));
  const plain = await timed('anew', anew);
  if (plain.join() !== [...text!.tokens].join()) throw new Error('the two texts differ');
}
const median = (values: number[]) => [...values.slice(1)].sort((a, b) => a - b)[repeats >> 1]!;
const [cached, plain] = [median(seconds.cached), median(seconds.anew)];
console.log(JSON.stringify({ newTokens, threads, cached, anew: plain, times: plain / cached }));
