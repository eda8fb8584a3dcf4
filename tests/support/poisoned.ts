/** A model and rows of which one alone gives no numbers: its prompt holds a token whose embedding overflows. */
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { noGrad } from '@reanchor/torch';
import { loadModel } from '#reanchor/models/load.js';
import { saveModel } from '#reanchor/models/save.js';
import { loadTokenizer } from '#reanchor/text/tokenizer.js';
import { tinyModelOf } from './resuming.js';
import { tinyModel, tinyPairs } from './training.js';

/** The line of the row that gives no numbers. */
const poisonedLine = 15;

/** The folder of the model, and 40 pairs; both are made in `folder`. */
export async function poisoned(folder: string): Promise<{ model: string; rows: string }> {
  const [model, rows] = [join(folder, 'poisoned'), join(folder, 'pairs.jsonl')];
  cpSync(await tinyModelOf('gpt-neox', folder), model, { recursive: true });
  const [token] = (await loadTokenizer(tinyModel)).encode('~').slice(-1);
  using loaded = await loadModel(model, { dtype: 'float32' });
  const embedding = loaded.parameters.get('gpt_neox.embed_in.weight')!;
  noGrad(() => embedding.narrow(0, token!, 1).fill_(3e38));
  rmSync(join(model, 'model.safetensors'));
  await saveModel(loaded, model);
  const lines = readFileSync(tinyPairs, 'utf8').replaceAll('~', '-').trim().split('\n').slice(0, 40);
  const { chosen, rejected } = JSON.parse(lines[poisonedLine - 1]!);
  lines[poisonedLine - 1] = JSON.stringify({ chosen: `~${chosen}`, rejected: `~${rejected}` });
  writeFileSync(rows, `${lines.join('\n')}\n`);
  return { model, rows };
}
