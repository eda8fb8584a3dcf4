import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdtempSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { until } from '../../../../tests/support/manual-clock.js';
import { type CompletionLine, generateFile } from './generate-file.js';

const model = fileURLToPath(new URL('../../../../tests/fixtures/models/llama-tiny', import.meta.url));
const folder = () => mkdtempSync(join(tmpdir(), 'generate-'));
const jsonl = (rows: unknown[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join('');
const linesOf = (file: string) =>
  readFileSync(file, 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as CompletionLine);

function prompts(rows: unknown[]) {
  const file = join(folder(), 'prompts.jsonl');
  writeFileSync(file, jsonl(rows));
  return { prompts: file, out: join(folder(), 'out.jsonl'), model, maxNewTokens: 12, temperature: 1 };
}

test('a line a completion, in the order of prompts, then samples; texts and chats side by side', async () => {
  const chat = [{ role: 'user', content: 'Hello?' }];
  const options = { ...prompts([{ prompt: 'I think' }, { prompt: chat }, { messages: chat }]), samples: 2 };
  const stops = { stopStrings: ['e'], batchSize: 2 };
  expect(await generateFile({ ...options, ...stops, chatTemplate: 'hh', seed: 1 })).toBe(6);
  const lines = linesOf(options.out);
  expect(lines.map(({ index, sample }) => [index, sample])).toEqual([0, 1, 2].flatMap((i) => [[i, 0], [i, 1]])); // biome-ignore format: a table
  expect(lines.map(({ prompt }) => prompt)).toEqual(['I think', 'I think', chat, chat, chat, chat]);
  for (const { completion, tokens, logprob, finish } of lines) {
    expect(completion).not.toContain('e');
    expect(tokens).toBeLessThanOrEqual(12);
    if (tokens < 12) expect(finish).toBe('stop');
    expect(logprob).toBeLessThan(0);
  }
  expect(existsSync(`${options.out}.partial`)).toBe(false);
});

test('what is done when the process is killed is not done again, and the file is that of an undisturbed run', async () => {
  const rows = Array.from({ length: 20 }, (_, i) => ({ prompt: `Number ${i}` }));
  const options = { ...prompts(rows), maxNewTokens: 60, batchSize: 2, seed: 3 };
  const script = `import { generateFile } from ${JSON.stringify(new URL('./generate-file.ts', import.meta.url).href)};
    await generateFile(${JSON.stringify(options)});`;
  const child = spawn(
    process.execPath,
    ['--import', import.meta.resolve('tsx'), '--input-type=module', '--eval', script],
    { stdio: 'inherit' },
  );
  const partial = `${options.out}.partial`;
  const begun = () => existsSync(partial) && readFileSync(partial, 'utf8').split('\n').length > 5;
  await until(() => begun() || child.exitCode !== null);
  child.kill('SIGKILL');
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  expect(child.signalCode).toBe('SIGKILL');
  expect(existsSync(options.out)).toBe(false);
  // As if it had been killed in the middle of a line.
  writeFileSync(partial, readFileSync(partial).subarray(0, -9));
  const kept = readFileSync(partial, 'utf8').trimEnd().split('\n').length - 2;

  let resumed: number[] = [];
  let made = 0;
  const onToken = () => made++;
  await generateFile({ ...options, onResume: (...heard) => (resumed = heard), onToken });
  expect(resumed).toEqual([kept, 20]);
  const lines = linesOf(options.out);
  expect(made).toBeLessThan(lines.reduce((sum, { tokens }) => sum + tokens, 0));
  const undisturbed = { ...options, out: join(folder(), 'other.jsonl') };
  await generateFile(undisturbed);
  const withoutRounding = (line: CompletionLine) => ({ ...line, logprob: line.logprob.toFixed(3) });
  expect(lines.map(withoutRounding)).toEqual(linesOf(undisturbed.out).map(withoutRounding));
});

test('an unfinished file of other options, prompts or weights is neither mixed in nor lost', async () => {
  const options = { ...prompts([{ prompt: 'a' }, { prompt: 'b' }]), model: join(folder(), 'model'), batchSize: 1 };
  cpSync(model, options.model, { recursive: true });
  const stop = new AbortController();
  const stopped = generateFile({ ...options, signal: stop.signal, onProgress: ({ done }) => done > 0 && stop.abort() });
  await expect(stopped).rejects.toThrow(/abort/);
  const partial = readFileSync(`${options.out}.partial`);
  await expect(generateFile({ ...options, seed: 5 })).rejects.toThrow(/different: seed\)/);
  writeFileSync(options.prompts, jsonl([{ prompt: 'a' }, { prompt: 'c' }]));
  await expect(generateFile(options)).rejects.toThrow(/different: prompts\)/);
  writeFileSync(options.prompts, jsonl([{ prompt: 'a' }, { prompt: 'b' }]));
  const weights = join(options.model, 'model.safetensors');
  utimesSync(weights, new Date(), new Date('2026-01-02T03:04:05Z'));
  await expect(generateFile(options)).rejects.toThrow(/different: model\)/);
  expect(readFileSync(`${options.out}.partial`)).toEqual(partial);
  expect(existsSync(options.out)).toBe(false);
});

test.each([
  [{ prompt: 3 }, /:1: "prompt" is a number, not text; a row is/],
  [{ text: 'x' }, /"prompt" is missing/],
  [['x'], /not an object/],
  [{ messages: [] }, /a chat without messages/],
  [{ messages: [{ role: 'bard', content: 'x' }] }, /"messages\[0\].role" is not a role/],
  [{ messages: [{ role: 'assistant', content: 'x' }] }, /ends with an answer of the assistant/],
  [{ messages: [{ role: 'user', content: 'x' }] }, /no chat template .* name one with data\.chatTemplate/],
])('a row that is no prompt: %j', async (row, message) => {
  await expect(generateFile(prompts([row]))).rejects.toThrow(message);
});
