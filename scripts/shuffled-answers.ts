// Makes a preference task that can be learned: chosen is the words of the real answer with one space between, rejected
// the same words in another order; so the order is all that tells the two apart.
//
//   npx tsx scripts/shuffled-answers.ts OUT.jsonl HH.jsonl[.gz] ...
//
// Rows whose chosen answer has fewer than eight different words are left out: a few words are too often a sentence in
// any order. The same files always give the same rows.
import { loadPreferenceRows } from '#reanchor/data/index.js';
import { writeJsonl } from '#reanchor/formats/index.js';
import { shuffled } from '#reanchor/random.js';

const [out, ...files] = process.argv.slice(2);
if (!out || files.length === 0) {
  console.error('usage: npx tsx scripts/shuffled-answers.ts OUT.jsonl HH.jsonl[.gz] ...');
  process.exit(2);
}

async function* rows() {
  for (const { index, prompt, chosen } of await loadPreferenceRows(files, { format: 'hh' })) {
    if (typeof chosen !== 'string') continue;
    const words = chosen.trim().split(/\s+/);
    if (new Set(words).size < 8) continue;
    const answer = words.join(' ');
    const other = shuffled(words.length, index)
      .map((i) => words[i])
      .join(' ');
    if (other !== answer) yield { prompt, chosen: ` ${answer}`, rejected: ` ${other}` };
  }
}

await writeJsonl(out, rows());
