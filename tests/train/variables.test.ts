// biome-ignore-all lint/suspicious/noTemplateCurlyInString: a recipe writes ${NAME} itself
// What the variables of a recipe stand for is written nowhere, and a run with them can be gone on with and repeated.
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { Terminal } from '#reanchor/cli/terminal.js';
import { tokensVerb } from '#reanchor/cli/tokens.js';
import { trainVerb } from '#reanchor/cli/train.js';
import { train } from '#reanchor/driver/index.js';
import { readRecipe } from '#reanchor/recipe/index.js';
import { type RunEvent, readEvents, readRun } from '#reanchor/runs/index.js';
import { outcome } from '../support/resuming.js';
import { tinyModel, tinyPairs } from '../support/training.js';

const folder = mkdtempSync(join(tmpdir(), 'reanchor-variables-'));
/** What the variables stand for: files of these names. */
const place = join(folder, 's3cr3t-place');
const recipeFile = join(folder, 'r.yaml');
beforeAll(() => {
  mkdirSync(place);
  cpSync(tinyModel, join(place, 'model'), { recursive: true });
  cpSync(tinyPairs, join(place, 'pairs.jsonl'));
  const lines = [
    'model: ${PLACE}/model',
    'method: dpo',
    'reference: { update: soft, alpha: 0.5, model: "${PLACE}/model" }',
    'data: { train: "${PLACE}/pairs.jsonl", validation: 8, maxLength: 96 }',
    'batch: { size: 8 }',
    'steps: 6',
    'optimizer: { lr: 1.0e-3 }',
    'checkpoint: { every: 2 }',
    'log: { tensorboard: true }',
    'threads: 1',
  ];
  writeFileSync(recipeFile, `${lines.join('\n')}\n`);
});
afterEach(() => vi.unstubAllEnvs());
afterAll(() => rmSync(folder, { recursive: true }));

let count = 0;
const newRun = () => join(folder, `run-${count++}`);

/** Runs the verb and gives what it prints. */
async function printed(verb: (terminal: Terminal) => Promise<unknown>): Promise<string> {
  let text = '';
  const output = { write: (piece: string) => (text += piece) };
  await verb(new Terminal({ stdout: output, stderr: output, env: {} }));
  return text;
}

const filesOf = (path: string) =>
  readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));

/** Trains up to an event, or to the end, and gives back the run's folder. */
async function runOf(out: string, { until, resume = false }: { until?: number; resume?: boolean } = {}) {
  const stop = new AbortController();
  const onEvent = (event: RunEvent) => {
    if (event.type === 'step' && event.step === until) stop.abort();
  };
  await train({ recipe: readRecipe(recipeFile), out, resume, command: ['test'], onEvent, signal: stop.signal });
  return out;
}

describe('what a variable stands for', () => {
  test('is in no file of a run and in no line of the command; the variable is', async () => {
    const calls: string[] = [];
    const server = createServer(async (request, response) => {
      for await (const piece of request) calls.push(String(piece));
      response.end('{"experiment":{"experiment_id":"1"},"run":{"info":{"run_id":"1"}}}');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    vi.stubEnv('PLACE', place);
    vi.stubEnv('FLOW', `http://127.0.0.1:${port}/s3cr3t-path`);
    const out = newRun();
    const text = await printed((terminal) =>
      trainVerb(recipeFile, { set: ['log.mlflow=${FLOW}', 'evaluate.every=3'], out }, terminal),
    );
    server.closeAllConnections();
    server.close();

    const files = filesOf(out);
    expect(files.length).toBeGreaterThan(20);
    for (const file of files) expect(readFileSync(file, 'latin1').includes('s3cr3t'), file).toBe(false);
    expect(text).not.toContain('s3cr3t');
    expect(calls.join()).not.toContain('s3cr3t');

    const { run } = readRun(out);
    expect(run.recipe).toMatchObject({ model: '${PLACE}/model', data: { train: '${PLACE}/pairs.jsonl' } });
    const { events } = readEvents(join(out, 'events.jsonl'));
    expect(events.find(({ type }) => type === 'skipped')).toMatchObject({ file: '${PLACE}/pairs.jsonl' });
    expect(text).toContain('skipped 2 rows, prompt fills maxLength: ${PLACE}/pairs.jsonl lines 18, 59');
    expect(text).toMatch(/next {3}npx reanchor score --run \S+ --data PAIRS/);
    expect(calls.join()).toContain('{"key":"model","value":"${PLACE}/model"}');
    expect(readFileSync(join(out, 'mlflow.json'), 'utf8')).toContain('"address":"${FLOW}"');
    expect(readFileSync(join(out, 'final/README.md'), 'utf8')).toContain('"mlflow": "${FLOW}"');
  });

  test('is in no message, whatever is wrong with what it stands for', async () => {
    vi.stubEnv('PLACE', place);
    vi.stubEnv('SECRET', 's3cr3t-value');
    const broken = join(place, 'broken.jsonl');
    writeFileSync(broken, '{"prompt": 1}\n');
    for (const [set, message] of [
      ['data.train=${PLACE}/broken.jsonl', '${PLACE}/broken.jsonl:1'],
      ['data.train=${PLACE}/none.jsonl', '${PLACE}/none.jsonl does not exist'],
      ['data.train=${SECRET}', 'no file or folder ${SECRET} on this machine'],
      ['model=${PLACE}/none', '${PLACE}/none does not exist'],
      ['model=owner/${SECRET}', 'no file or folder owner/${SECRET} on this machine'],
      ['data.chatTemplate=${PLACE}/none.jinja', '${PLACE}/none.jinja does not exist'],
    ] as const) {
      for (const verb of [trainVerb, tokensVerb]) {
        const out = newRun();
        const text = await printed(async (terminal) => {
          const given = { set: [set], out, rows: '1' };
          await verb(recipeFile, given, terminal).catch((error: Error) => terminal.note(error.message));
        });
        expect(text).toContain(message);
        expect(text).not.toContain('s3cr3t');
      }
    }
  });
});

describe('a run with variables', () => {
  test('goes on where they stand for the same, in another place too, to the same bits', async () => {
    vi.stubEnv('PLACE', place);
    const whole = await runOf(newRun());
    const out = await runOf(newRun(), { until: 3 });
    await runOf(out, { until: 5, resume: true });
    const elsewhere = join(folder, 'another-place');
    cpSync(place, elsewhere, { recursive: true });
    vi.stubEnv('PLACE', elsewhere);
    await runOf(out, { resume: true });
    expect(outcome(out)).toEqual(outcome(whole));
    const { events } = readEvents(join(out, 'events.jsonl'));
    expect(events.flatMap((event) => (event.type === 'resumed' ? [event.changes ?? []] : []))).toEqual([[], []]);
  });

  test('does not go on where they stand for something else, for nothing, or are not set', async () => {
    vi.stubEnv('PLACE', place);
    const out = await runOf(newRun(), { until: 3 });
    const other = join(folder, 'other-rows');
    cpSync(place, other, { recursive: true });
    const rows = readFileSync(tinyPairs, 'utf8').split('\n');
    writeFileSync(join(other, 'pairs.jsonl'), [rows[1], rows[0], ...rows.slice(2)].join('\n'));
    vi.stubEnv('PLACE', other);
    await expect(runOf(out, { resume: true })).rejects.toThrow(
      /what data\.train .* other content than when the run began/,
    );
    vi.stubEnv('PLACE', join(folder, 'nowhere'));
    await expect(runOf(out, { resume: true })).rejects.toThrow(/model: \$\{PLACE\}\/model: there is no file or folder/);
    vi.stubEnv('PLACE', undefined);
    await expect(runOf(out, { resume: true })).rejects.toThrow(/\$\{PLACE\} is not set/);
    vi.stubEnv('PLACE', place);
    await runOf(out, { resume: true });
    expect(readRun(out).run.recipe.model).toBe('${PLACE}/model');
  });

  test('is repeated from its run.json alone', async () => {
    vi.stubEnv('PLACE', place);
    const first = await runOf(newRun());
    const again = newRun();
    await train({ recipe: readRun(first).run.recipe, out: again, command: ['test'] });
    expect(outcome(again)).toEqual(outcome(first));
  });
});
