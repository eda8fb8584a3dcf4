// How the start of a run grows with its rows: HH-like rows, drawn from the real ones with words exchanged, and a model
// of next to no size, so that reading and tokenising is nearly all there is. For each number of rows: a first run, one
// that finds its rows in the cache, and `estimate`.
//
//   npx tsx bench/rows.ts [rows = 16080 160800 ...]
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, createWriteStream, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { initModel, loadPreferenceRows, saveModel } from 'reanchor';
import { uniforms } from '#reanchor/random.js';
import { readEvents } from '#reanchor/runs/index.js';
import { models } from './cases.js';
import { benchModel, dataFile } from './materials.js';

const bin = fileURLToPath(new URL('../packages/reanchor/bin/reanchor.js', import.meta.url));
const counts = process.argv.length > 2 ? process.argv.slice(2).map(Number) : [16_080, 160_800];
const folder = mkdtempSync(join(tmpdir(), 'reanchor-rows-'));
const names = ['hh-helpful-base', 'hh-harmless-base', 'hh-helpful-rejection-sampled'];

/** Told by the process itself when it ends. */
const usage = `process.on('exit', () => { const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage();
  console.error('usage ' + JSON.stringify([(userCPUTime + systemCPUTime) / 1e6, maxRSS / 1024])); });`;

console.log('| rows | | s to the first step | processor s | peak RSS |\n|---|---|---|---|---|');
try {
  const model = await smallModel();
  for (const count of counts) {
    const data = await rowsLike(count);
    const recipe = join(folder, 'recipe.yaml');
    const content = { model, method: 'dpo', data: { train: data, maxLength: 512 }, batch: { size: 2 }, steps: 3 };
    writeFileSync(recipe, JSON.stringify(content));
    for (const what of ['first run', 'next run', 'estimate']) {
      const out = join(folder, `${count}-${what}`);
      const begun = Date.now();
      const { cpu, rss } = run(what === 'estimate' ? ['estimate', recipe] : ['train', recipe, '--out', out]);
      const seconds = what === 'estimate' ? (Date.now() - begun) / 1000 : firstStep(out, begun);
      console.log(
        `| ${count.toLocaleString('en-US')} | ${what} | ${seconds.toFixed(1)} | ${cpu.toFixed(1)} | ${Math.round(rss)} MB |`,
      );
    }
    rmSync(data);
  }
} finally {
  rmSync(folder, { recursive: true });
}

function run(args: string[]): { cpu: number; rss: number } {
  const { status, stderr } = spawnSync(
    process.execPath,
    ['--import', `data:text/javascript,${encodeURIComponent(usage)}`, bin, ...args],
    { encoding: 'utf8', env: { ...process.env, REANCHOR_TOKENS: join(folder, 'tokens') }, maxBuffer: 1 << 28 },
  );
  if (status !== 0) throw new Error(`reanchor ${args[0]} ended with ${status}: ${stderr}`);
  // Threads tell theirs too; the process is the last.
  const [cpu, rss] = JSON.parse(stderr.trim().split('\n').at(-1)!.replace('usage ', '')) as [number, number];
  return { cpu, rss };
}

/** Seconds until the first step began. */
function firstStep(out: string, begun: number): number {
  const { events } = readEvents(join(out, 'events.jsonl'));
  const step = events.find((event) => event.type === 'step')!;
  return (Date.parse(step.time) - begun) / 1000 - step.metrics.num_tokens! / step.metrics.tokens_per_second!;
}

async function smallModel(): Promise<string> {
  const small = { hidden_size: 16, intermediate_size: 32, num_hidden_layers: 2, num_attention_heads: 2 };
  const model = join(folder, 'model');
  mkdirSync(model);
  for (const name of ['tokenizer.json', 'tokenizer_config.json']) {
    cpSync(join(await benchModel('pythia-70m'), name), join(model, name));
  }
  using made = initModel({ ...models['pythia-70m'], ...small }, { seed: 1, dtype: 'float32' });
  await saveModel(made, model);
  return model;
}

/** A file of rows in the form of HH, each a real one in which one word of forty is another. */
async function rowsLike(count: number): Promise<string> {
  const rows = await loadPreferenceRows(
    names.map((name) => dataFile(`preference/${name}.jsonl.gz`)),
    { format: 'hh' },
  );
  const draw = uniforms(1, count);
  const oneOf = <T>(items: readonly T[]) => items[Math.floor(draw() * items.length)]!;
  const words = rows.slice(0, 500).flatMap(({ chosen }) => String(chosen).split(' '));
  const varied = (text: unknown) => {
    const parts = String(text).split(' ');
    for (let i = 0; i < parts.length / 40; i++) {
      const at = Math.floor(draw() * parts.length);
      if (/^[a-z]+$/i.test(parts[at]!)) parts[at] = oneOf(words);
    }
    return parts.join(' ');
  };
  const file = join(folder, `${count}.jsonl`);
  const stream = createWriteStream(file);
  for (let i = 0; i < count; i++) {
    const row = oneOf(rows);
    const prompt = varied(row.prompt);
    const line = `${JSON.stringify({ chosen: prompt + varied(row.chosen), rejected: prompt + varied(row.rejected) })}\n`;
    if (!stream.write(line)) await once(stream, 'drain');
  }
  stream.end();
  await once(stream, 'finish');
  return file;
}
