import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdtempSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { until } from '../../../../tests/support/manual-clock.js';
import { narrowModel } from '../../../../tests/support/narrow-model.js';
import { readAnswers } from '../eval/answers.js';
import { promptKeys } from '../eval/prompts.js';
import { type CompletionLine, generateFile, readPrompts } from './generate-file.js';
import { TextGenerator } from './text-generator.js';

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
  for (const { completion, tokens, logprob, finish, stopString, stopToken } of lines) {
    expect(completion).not.toContain('e');
    expect(tokens).toBeLessThanOrEqual(12);
    expect(finish).toBe((stopString ?? stopToken) ? 'stop' : 'length');
    if (tokens === 0) expect([completion, logprob]).toEqual(['', 0]);
    else expect(logprob).toBeLessThan(0);
  }
  expect(lines.some(({ stopString }) => stopString === 'e')).toBe(true);
  expect(existsSync(`${options.out}.partial`)).toBe(false);
});

test('numbers of a prompt are in its line as its row has them, and are read back as they were', async () => {
  const numbers = '{"share":2.0,"id":12345678901234567890}';
  const call = `[{"function":{"name":"f","arguments":${numbers}}}]`;
  const chat = `[{"role":"assistant","content":"","tool_calls":${call}},{"role":"user","content":"Hi"}]`;
  const options = prompts([]);
  writeFileSync(options.prompts, `{"prompt":${chat},"chat_template_kwargs":${numbers}}\n`);
  const chatTemplate =
    '{{ share }} {{ id }} {% for m in messages %}{{ m.tool_calls | default([]) | tojson }}{{ m.content }}{% endfor %}';
  await generateFile({ ...options, chatTemplate });
  const written = readFileSync(options.out, 'utf8');
  expect(written).toContain(`"prompt":${chat},"chat_template_kwargs":${numbers}`);
  const [asked] = await readPrompts(options.prompts);
  const [answer] = await readAnswers(options.out);
  expect(answer!.asked).toEqual(asked);
  expect(promptKeys(answer!.prompt)).toEqual(promptKeys(asked!.prompt));
});

test('a line says which token ended it, or which string, and counts neither that nor what was cut off with it', async () => {
  const own = join(folder(), 'model');
  cpSync(model, own, { recursive: true });
  writeFileSync(join(own, 'generation_config.json'), '{"eos_token_id": [2, 0, 260, 270]}');
  const rows = Array.from({ length: 60 }, (_, i) => ({ prompt: `Number ${i}` }));
  const options = { ...prompts(rows), model: own, seed: 2, batchSize: 60 };
  await generateFile({ ...options, stopStrings: ['e', 'th', '\u0000'] });
  const lines = linesOf(options.out);
  const ends = new Set(lines.map(({ stopToken, stopString, finish }) => stopToken ?? stopString ?? finish));
  for (const end of [260, 270, 'e', 'length']) expect(ends).toContain(end);

  // Drawn with the same random numbers, but for the strings: each is a beginning of the text without them.
  using generator = await TextGenerator.load(own);
  const { maxNewTokens, temperature, seed } = options;
  const whole = await generator.complete(rows.map(({ prompt }) => prompt), { maxNewTokens, temperature, seed }); // biome-ignore format: short
  for (const [i, { completion, tokens, logprob, stopString, stopToken }] of lines.entries()) {
    const free = whole[i]!;
    expect(logprob).toBeCloseTo(
      free.logprobs.slice(0, tokens).reduce((a, b) => a + b, 0),
      3,
    );
    if (stopString === undefined) {
      expect([tokens, stopToken, completion]).toEqual([free.tokens.length, free.stopToken, free.text]);
      continue;
    }
    expect(stopToken).toBeUndefined();
    const decode = generator.decoder(`Number ${i}`);
    const text = (count: number) => decode([...free.tokens.subarray(0, count)]);
    expect(text(free.tokens.length).startsWith(completion + stopString)).toBe(true);
    // No fewer tokens would hold the text.
    expect(text(tokens).startsWith(completion)).toBe(true);
    if (tokens > 0) expect(text(tokens - 1).startsWith(completion)).toBe(false);
  }
});

test('texts that may become longer than the model was made for are told of, once and with both numbers', async () => {
  const notes: string[] = [];
  const short = {
    ...prompts([{ prompt: 'One' }, { prompt: 'Two words' }]),
    onNote: (note: string) => notes.push(note),
  };
  await generateFile(short);
  expect(notes).toEqual([]);
  const narrow = narrowModel(join(folder(), 'model'), 16);
  await generateFile({ ...short, model: narrow, samples: 2, batchSize: 1, out: join(folder(), 'out.jsonl') });
  expect(notes).toHaveLength(1);
  expect(notes[0]).toMatch(
    /longest prompt has 8 tokens, up to 20 .* made for 16 \(max_position_embeddings\): .* write 8 new tokens at most/,
  );
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
  [{ messages: [{ role: 1, content: 'x' }] }, /"messages\[0\].role" is a number, not text/],
  [{ messages: [{ role: 'assistant', content: 'x' }] }, /ends with an answer of the assistant/],
  [{ messages: [{ role: 'user', content: 'x' }] }, /no chat template .* name one with chatTemplate: model/],
])('a row that is no prompt: %j', async (row, message) => {
  await expect(generateFile(prompts([row]))).rejects.toThrow(message);
});
