// Writes what our side computes with a saved model folder, or that of an adapter, in float64, for
// tests/oracle/check_final.py.
//
//   npx tsx tests/oracle/write_logits.ts FOLDER OUT.json TEXT [TEXT ...]
import { writeFileSync } from 'node:fs';
import { noGrad, tidy } from '@reanchor/torch';
import { loadTokenizer, ModelLoader, modelPlace, packGroups, spanBatch, tokenLogprobs } from 'reanchor';

const [folder, out, ...texts] = process.argv.slice(2);
if (!folder || !out || texts.length === 0) {
  console.error('usage: npx tsx tests/oracle/write_logits.ts FOLDER OUT.json TEXT [TEXT ...]');
  process.exit(2);
}
const place = await modelPlace(folder);
const tokenizer = await loadTokenizer(place);
using loader = new ModelLoader({ dtype: 'float64', device: 'cpu' });
using model = await loader.load(place);

/** Every token of `ids` but the first is scored. */
const batchOf = (ids: number[]) =>
  spanBatch(packGroups([{ prompt: new Int32Array(0), completions: [Int32Array.from(ids)] }]), model);

const rows = texts.map((text) =>
  tidy(() =>
    noGrad(() => {
      const input_ids = tokenizer.encode(text);
      const logprobs = tokenLogprobs(model, batchOf(input_ids)).toList();
      const hidden_TD = model.hidden(batchOf([...input_ids, 0]));
      const last_logits = hidden_TD
        .select(0, input_ids.length - 1)
        .unsqueeze(0)
        .matmul(model.head_VD.t())
        .toList();
      return { text, input_ids, logprobs, last_logits };
    }),
  ),
);
writeFileSync(out, `${JSON.stringify({ rows })}\n`);
