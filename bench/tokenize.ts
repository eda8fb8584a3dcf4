// Tokenisation of all HH rows at hand (prompts and both answers) with the GPT-NeoX tokenizer, beside the Rust library
// on one text at a time, in turns.
//
//   REANCHOR_PYTHON=python npx tsx bench/tokenize.ts [rounds = 3]
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadPreferenceRows, loadTokenizer } from 'reanchor';
import { benchModel, dataFile } from './materials.js';
import { median, Player } from './turns.js';

const rounds = Number(process.argv[2] ?? 3);
const names = ['hh-helpful-base', 'hh-harmless-base', 'hh-helpful-rejection-sampled'];
const rows = await loadPreferenceRows(
  names.map((name) => dataFile(`preference/${name}.jsonl.gz`)),
  { format: 'hh' },
);
const texts = rows.flatMap(({ prompt, chosen, rejected }) => [String(prompt), String(chosen), String(rejected)]);
const folder = await benchModel('pythia-70m');
const tokenizer = await loadTokenizer(folder);
const temporary = mkdtempSync(join(tmpdir(), 'reanchor-tokenize-'));
writeFileSync(join(temporary, 'texts.json'), JSON.stringify(texts));
const python = process.env.REANCHOR_PYTHON;
const rival = python
  ? new Player(
      python,
      [
        fileURLToPath(new URL('rust_tokenizers.py', import.meta.url)),
        join(folder, 'tokenizer.json'),
        join(temporary, 'texts.json'),
      ],
      {},
    )
  : undefined;
const ours: number[] = [];
const theirs: number[] = [];
let tokens = 0;
for (let round = 0; round <= rounds; round++) {
  const begun = performance.now();
  tokens = texts.reduce((n, text) => n + tokenizer.encode(text, { addSpecialTokens: false }).length, 0);
  const seconds = (performance.now() - begun) / 1000;
  const answer = await rival?.play();
  if (round === 0) continue;
  ours.push(seconds);
  if (answer) theirs.push(answer.seconds);
}
rival?.stop();
rmSync(temporary, { recursive: true });
const rate = (seconds: readonly number[]) => `${(tokens / median(seconds) / 1e6).toFixed(2)}M tokens/s`;
console.log('| texts | tokens | reanchor | Rust tokenizers | faster by |\n|---|---|---|---|---|');
console.log(
  `| ${texts.length} | ${tokens} | ${rate(ours)} | ${theirs.length ? rate(theirs) : ''} | ${theirs.length ? `${(median(theirs) / median(ours)).toFixed(2)}x` : ''} |`,
);
