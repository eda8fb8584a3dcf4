import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeEach, describe, expect, it } from 'vitest';
import { parseRecipe } from '../recipe/index.js';
import { encodeEvent, lockName, lockRun, type NewRunEvent, type RunEvent } from '../runs/index.js';
import { Library } from './library.js';
import { ServedFolder } from './served-folder.js';

const begun = Date.parse('2026-01-02T03:00:00.000Z');
const at = (minutes: number) => new Date(begun + 60_000 * minutes).toISOString();
const minutes = 60_000;

let root: string;
let run: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'summary-'));
  run = join(root, 'run');
  mkdirSync(run);
  const recipe = parseRecipe('{ model: m, method: dpo, data: { train: a } }', { file: 'r.yaml', env: {} });
  const versions = { reanchor: '0', node: '20', torch: '2' };
  const machine = { platform: 'linux', arch: 'x64', cpu: 'c', cpus: 2, memory: 1 };
  writeFileSync(
    join(run, 'run.json'),
    JSON.stringify({ time: at(0), command: [], recipe, seed: 1, versions, machine }),
  );
});

/** Writes events, the first at minute 0 and the last at `last`. */
function write(last: number, ...events: NewRunEvent[]) {
  const lines = events.map((event, i) =>
    encodeEvent({ time: at((last * i) / Math.max(1, events.length - 1)), ...event } as RunEvent),
  );
  writeFileSync(join(run, 'events.jsonl'), lines.map((line) => `${line}\n`).join(''));
}
const start: NewRunEvent = { type: 'start', steps: 100, rows: 1, validationRows: 0, parameters: 1 };
const step = (step: number): NewRunEvent => ({ type: 'step', step, epoch: 0, metrics: { loss: 1 } });

/** What the list says of the run, at a minute. */
async function listed(minute: number) {
  const library = new Library(await ServedFolder.at(root), () => begun + minute * minutes);
  return (await library.list()).runs[0]!;
}

describe('whether a run is running', () => {
  it('a process that was killed is not, however lately it wrote', async () => {
    const lock = fileURLToPath(new URL('../runs/lock.ts', import.meta.url));
    const code = `import { lockRun } from ${JSON.stringify(lock)}; lockRun(${JSON.stringify(run)}); console.log('locked'); setInterval(() => {}, 1000);`;
    const child = spawn(
      process.execPath,
      ['--import', import.meta.resolve('tsx'), '--input-type=module', '--eval', code],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    await once(child.stdout, 'data');
    write(1, start, step(1));
    expect((await listed(1)).status).toBe('running');
    child.kill('SIGKILL');
    await once(child, 'close');
    expect(readFileSync(join(run, lockName), 'utf8')).toContain(`"pid":${child.pid}`);
    expect((await listed(1)).status).toBe('stopped');
  });

  it('a process that is there is, however long it has been silent', async () => {
    using _lock = lockRun(run);
    write(1, start, step(1));
    expect((await listed(24 * 60)).status).toBe('running');
  });

  it('one that has let go of its run without an end is not', async () => {
    lockRun(run)[Symbol.dispose]();
    write(1, start, step(1));
    expect((await listed(1)).status).toBe('stopped');
  });

  it('one that cannot be seen from here is until it has been silent for ten minutes, or long for its pace', async () => {
    using _lock = lockRun(run);
    const own = JSON.parse(readFileSync(join(run, lockName), 'utf8'));
    writeFileSync(join(run, lockName), JSON.stringify({ ...own, host: 'elsewhere' }));
    write(1, start, step(1), step(2), step(3));
    expect([(await listed(10)).status, (await listed(12)).status]).toEqual(['running', 'stopped']);
    write(6, start, step(1), step(2), step(3));
    expect([(await listed(40)).status, (await listed(50)).status]).toEqual(['running', 'stopped']);
  });

  it('one that ended says how, whatever its lock says', async () => {
    using _lock = lockRun(run);
    write(1, start, step(1), { type: 'end', steps: 1, seconds: 1 });
    expect((await listed(2)).status).toBe('interrupted');
    write(1, start, step(1), { type: 'failed', step: 1, message: 'x' });
    expect((await listed(2)).status).toBe('failed');
  });
});

it.each([
  [
    'there is not enough memory: lower batch.size. reanchor estimate says more. (x)',
    'there is not enough memory: lower batch.size.',
  ],
  [
    'the loss at step 3.5e+2 is NaN; see runs/a.b/events.jsonl. More',
    'the loss at step 3.5e+2 is NaN; see runs/a.b/events.jsonl.',
  ],
  ['no end\nbut a second line.', 'no end'],
  ['x'.repeat(1000), `${'x'.repeat(239)}…`],
  ['', ''],
])('of why a run failed the list says the first sentence: %j', async (message, sentence) => {
  write(1, start, step(1), { type: 'failed', step: 1, message });
  expect(await listed(2)).toMatchObject({ status: 'failed', failure: sentence });
});
