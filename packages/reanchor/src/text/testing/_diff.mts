import { readFileSync } from 'node:fs';
import { Tokenizer as Rust } from '@anush008/tokenizers';
import { readJsonl } from '/work/main/packages/reanchor/src/formats/index.ts';
import { parseTokenizer } from '/work/main/packages/reanchor/src/text/index.ts';
import { realTokenizers, tokenizerJson } from '/work/main/packages/reanchor/src/text/testing/real-tokenizers.ts';

const D = '/work/shared/data';
for (const n of realTokenizers) {
  const j = tokenizerJson(D, n);
  const t = parseTokenizer(j);
  const r = Rust.fromString(JSON.stringify(j));
  let bad = 0,
    c = 0;
  for await (const { value } of readJsonl(D + '/parity/tokens/tokens.jsonl.gz')) {
    c++;
    const got = t.encode(value.text, { addSpecialTokens: n === 'stories260K' });
    if (JSON.stringify(got) !== JSON.stringify(value[n])) bad++;
  }
  console.log(n, 'vectors', c, 'bad', bad);
  // codepoint sweep
  const diffs = [];
  let dd = 0;
  for (let cp = 0; cp < 0x32000; cp++) {
    if (cp >= 0xd800 && cp < 0xe000) continue;
    const x = `a${String.fromCodePoint(cp)}b 1${String.fromCodePoint(cp)} ${String.fromCodePoint(cp)}`;
    const a = t.encode(x);
    const enc = await r.encode(x, null, { addSpecialTokens: true });
    const b = Array.from(enc.getIds());
    if (a.join() !== b.join()) diffs.push(cp);
    const da = t.decode(b, { skipSpecialTokens: true }),
      db = await r.decode(b, true);
    if (da !== db) {
      dd++;
      if (dd < 5) console.log('decode', cp.toString(16), JSON.stringify(da), JSON.stringify(db));
    }
  }
  const ranges = [];
  for (const d of diffs) {
    const l = ranges.at(-1);
    if (l && l[1] === d - 1) l[1] = d;
    else ranges.push([d, d]);
  }
  console.log(
    n,
    'sweep diffs',
    diffs.length,
    ranges
      .slice(0, 60)
      .map(([a, b]) => (a === b ? a.toString(16) : a.toString(16) + '-' + b.toString(16)))
      .join(' '),
    'decode diffs',
    dd,
  );
}
for (const f of ['gpt2', 'llama3', 'llama3-with-bos']) {
  const v = JSON.parse(readFileSync(`${D}/tokenizers/vectors/transformers-js-${f}.json`, 'utf8'));
  const list = Array.isArray(v) ? v : (v.cases ?? Object.values(v));
  console.log(f, Object.keys(v).slice(0, 5), JSON.stringify(list[0]).slice(0, 300));
}
