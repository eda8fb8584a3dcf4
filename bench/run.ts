// All benchmarks by one command, beside the Python libraries:
//
//   npm run bench -- [name ...] [--rounds N] [--threads N] [--no-rival] [--out FILE] [--tiny]
//
// Without names all are run. --tiny has `parallel` take the model and rows of the tests, to see that it works. The
// rivals' virtual environment is made in the cache folder unless REANCHOR_PYTHON names a Python that has them; the data
// set is that of REANCHOR_DATA. A dated Markdown table is appended to FILE, or printed.
import { spawnSync } from 'node:child_process';
import { appendFileSync, existsSync } from 'node:fs';
import { cpus, homedir, totalmem } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { nativeConfig } from '@reanchor/torch';
import { trainCases } from './cases.js';
import { benchTrain, type TrainComparison } from './train.js';

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '5' },
    threads: { type: 'string', default: '2' },
    'no-rival': { type: 'boolean', default: false },
    out: { type: 'string' },
    tiny: { type: 'boolean', default: false },
  },
});

/** Benchmarks that print their own table. */
const scripts: Record<string, { file: string; args: string[] }> = {
  generate: { file: 'generate.ts', args: ['--models', '70M,135M', '--no-anew', '--threads', flags.threads] },
  operators: { file: 'op-overhead.ts', args: ['31'] },
  logprob: { file: 'linear-logprob.ts', args: ['3', flags.threads] },
  checkpoint: { file: 'checkpoint.ts', args: [flags.rounds] },
  tokenize: { file: 'tokenize.ts', args: ['3'] },
  ceiling: { file: 'ceiling.ts', args: [flags.threads] },
  updates: { file: 'updates.ts', args: ['8', flags.threads] },
  'long-prompt': { file: 'long-prompt.ts', args: ['3', flags.threads] },
  parallel: { file: 'parallel.ts', args: [flags.rounds, '4', ...(flags.tiny ? ['tiny'] : [])] },
  subnormals: { file: 'subnormals.ts', args: [flags.rounds, flags.threads] },
  start: { file: 'start.ts', args: [flags.rounds] },
  rows: { file: 'rows.ts', args: [] },
  gpu: { file: 'gpu.ts', args: [flags.rounds] },
};

const known = [...Object.keys(trainCases), ...Object.keys(scripts)];
const unknown = positionals.filter((name) => !known.includes(name));
if (unknown.length > 0) {
  console.error(`no benchmark ${unknown.join(', ')}; there are ${known.join(', ')}`);
  process.exit(2);
}
const chosen = positionals.length > 0 ? positionals : known;
const python = flags['no-rival'] ? undefined : rivalPython();

const lines: string[] = [];
const compared: TrainComparison[] = [];
for (const name of chosen.filter((name) => name in trainCases)) {
  compared.push(await benchTrain(name, { rounds: Number(flags.rounds), threads: Number(flags.threads), python }));
}
if (compared.length > 0) lines.push(...trainTable(compared), '');
for (const name of chosen.filter((name) => name in scripts)) {
  const { file, args } = scripts[name]!;
  const { stdout, status } = spawnSync(process.execPath, ['--import', 'tsx', here(file), ...args], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, OMP_WAIT_POLICY: 'PASSIVE', ...(python && { REANCHOR_PYTHON: python }) },
  });
  if (status !== 0) throw new Error(`bench/${file} failed`);
  lines.push(stdout.trim(), '');
}
const text = [`## ${new Date().toISOString().slice(0, 10)}: ${chosen.join(', ')}`, '', machine(), '', ...lines].join(
  '\n',
);
if (flags.out) appendFileSync(flags.out, `${text}\n`);
else console.log(text);

function here(name: string): string {
  return fileURLToPath(new URL(name, import.meta.url));
}

function machine(): string {
  const gigabytes = Math.round(totalmem() / 2 ** 30);
  return (
    `${cpus().length} x ${cpus()[0]!.model}, ${gigabytes} GB, ${flags.threads} threads, Node ${process.version}, ` +
    `libtorch ${nativeConfig().compiledFor}${python ? ', TRL 1.13.0, transformers 5.18.0, torch 2.13.0' : ''}; ` +
    `${flags.rounds} rounds in turns, after one to warm up; training: rows over the time of all rounds, else medians.`
  );
}

function trainTable(rows: readonly TrainComparison[]): string[] {
  const head = [
    '| case | model | rows/s | TRL | faster by | the same in processor time | peak RSS | TRL | ratio | last loss, ours and TRL |',
    '|---|---|---|---|---|---|---|---|---|---|',
  ];
  return head.concat(
    rows.map(({ one, ours, rival }) => {
      const cells = rival
        ? [
            ours.rowsPerSecond.toFixed(2),
            rival.rowsPerSecond.toFixed(2),
            `${(ours.rowsPerSecond / rival.rowsPerSecond).toFixed(2)}x`,
            `${(rival.cpuSeconds / ours.cpuSeconds).toFixed(2)}x`,
            `${Math.round(ours.peakMb)} MB`,
            `${Math.round(rival.peakMb)} MB`,
            `${(ours.peakMb / rival.peakMb).toFixed(2)}x`,
            `${ours.loss.toFixed(4)}, ${rival.loss.toFixed(4)}`,
          ]
        : [ours.rowsPerSecond.toFixed(2), '', '', '', `${Math.round(ours.peakMb)} MB`, '', '', ours.loss.toFixed(4)];
      return `| ${one.title} | ${one.model} | ${cells.join(' | ')} |`;
    }),
  );
}

/** A Python with the rivals, installed once. */
function rivalPython(): string {
  if (process.env.REANCHOR_PYTHON) return process.env.REANCHOR_PYTHON;
  const folder = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'reanchor', 'bench', 'venv');
  const found = join(folder, 'bin', 'python');
  if (existsSync(join(folder, 'complete'))) return found;
  const steps: [string, string[]][] = [
    ['python3', ['-m', 'venv', folder]],
    [
      found,
      ['-m', 'pip', 'install', '--quiet', 'torch==2.13.0', 'trl==1.13.0', 'transformers==5.18.0', 'peft==0.21.0'],
    ],
    ['touch', [join(folder, 'complete')]],
  ];
  for (const [command, args] of steps) {
    const { status } = spawnSync(command, args, { stdio: ['ignore', 'inherit', 'inherit'] });
    if (status !== 0) throw new Error(`${command} ${args.join(' ')} failed: name a Python in REANCHOR_PYTHON`);
  }
  return found;
}
