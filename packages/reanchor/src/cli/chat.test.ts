import { cpSync, existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import { expect, test } from 'vitest';
import { asPrinted } from '../../../../tests/support/as-printed.js';
import { fixtures } from '../../../../tests/support/repository.js';
import { loadRows, sourceRecords } from '../data/index.js';
import { TextGenerator } from '../generate/index.js';
import { type ChatFlags, chatVerb } from './chat.js';
import { commandLine } from './main.js';
import { Terminal } from './terminal.js';

const model = join(fixtures, 'models/llama-tiny');
/** The same model, made for fewer tokens. */
const other = join(mkdtempSync(join(tmpdir(), 'chat-')), 'other');
cpSync(model, other, { recursive: true });
const config = JSON.parse(readFileSync(join(model, 'config.json'), 'utf8'));
writeFileSync(join(other, 'config.json'), JSON.stringify({ ...config, max_position_embeddings: 128 }));

const hh = ['--chat-template', 'hh', '--max-new-tokens', '12', '--seed', '4'];
const file = () => join(mkdtempSync(join(tmpdir(), 'chat-')), 'talk.jsonl');

/** The flags as commander makes them of what is typed, and a terminal that keeps what is written. */
function prepared(flags: string[], onText: (text: string) => void = () => {}) {
  const written = { stdout: '', stderr: '' };
  const write = (to: keyof typeof written) => (text: string) => {
    written[to] += text;
    onText(text);
  };
  const terminal = new Terminal({ stdout: { write: write('stdout') }, stderr: { write: write('stderr') }, env: {} });
  const verb = commandLine(terminal).commands.find((command) => command.name() === 'chat')!;
  verb.parseOptions(flags.includes('--model') ? flags : ['--model', model, ...flags]);
  return { terminal, written, flags: verb.opts<ChatFlags>() };
}

/** Talks through a pipe. */
async function piped(lines: string, ...given: string[]) {
  const { terminal, written, flags } = prepared(given);
  const stdin = new PassThrough();
  stdin.end(lines);
  const code = await chatVerb(flags, terminal, { stdin, stderr: new PassThrough() });
  return { code, ...written };
}

/** Talks as somebody at a terminal does: `answer` says what is typed when a text has come. */
async function typed(answer: (shown: string) => string | undefined, ...given: string[]) {
  const stdin = Object.assign(new PassThrough(), { isTTY: true, setRawMode: () => {} });
  let shown = '';
  const show = (text: string) => {
    shown += text;
    const keys = answer(shown);
    if (keys !== undefined) stdin.write(keys);
  };
  const { terminal, written, flags } = prepared(given, show);
  const stderr = new Writable({
    write(chunk, _encoding, done) {
      show(String(chunk));
      done();
    },
  });
  const code = await chatVerb(flags, terminal, { stdin, stderr: Object.assign(stderr, { isTTY: true, columns: 80 }) });
  return { code, shown, ...written };
}

/** What is typed at each prompt, one after the other. */
function atPrompts(...lines: string[]) {
  let seen = 0;
  return (shown: string) => {
    const prompts = shown.split('> ').length - 1;
    if (prompts <= seen) return undefined;
    seen = prompts;
    return lines.shift();
  };
}

test('every line of a pipe is a turn, whose answers are what generate writes to the same messages', async () => {
  const out = file();
  const { code, stdout, stderr } = await piped(`Hello\r\n\nWhy\u2028so?\n/save ${out}`, ...hh);
  expect(code).toBe(0);
  expect(stderr).toMatch(/wrote 1 line to .*talk\.jsonl\n$/);
  for (const mark of ['\x1b', '> ']) expect(stdout + stderr).not.toContain(mark);
  const { messages } = JSON.parse(readFileSync(out, 'utf8'));
  expect(
    messages.map(({ content }: { content: string }) => content).filter((_: string, i: number) => i % 2 === 0),
  ).toEqual(['Hello', 'Why\u2028so?']);
  using generator = await TextGenerator.load(model, { chatTemplate: 'hh' });
  let expected = '';
  for (const turn of [1, 3]) {
    const options = { maxNewTokens: 12, temperature: 1, seed: 4 };
    const [answer] = await generator.complete([messages.slice(0, turn)], options);
    expect(messages[turn]).toEqual({ role: 'assistant', content: answer!.text });
    expected += `${answer!.text}\n`;
  }
  expect(stdout).toBe(expected);
});

test('what is saved is rows to train on, one for each model', async () => {
  const out = file();
  const { stdout } = await piped(`/system Be brief.\nHello\n/save ${out}\n/save ${out}`, ...hh, '--against', other);
  expect(stdout.split('\n').filter((line) => line.endsWith(':'))).toEqual([`${model}:`, `${other}:`]);
  const rows = await loadRows('sft', sourceRecords([out]));
  expect(rows).toHaveLength(2);
  for (const { prompt } of rows)
    expect(prompt).toEqual([
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'Hello' },
    ]);
});

test('what is wrong with a line is said and the next one is taken; of a pipe the exit code is then 1', async () => {
  const out = file();
  const lines = ['/undo', '/nope', `/save ${out}`, '/save', '/set heat 1', '/set temperature hot', '/set seed none'];
  const { code, stdout, stderr } = await piped(
    `${lines.join('\n')}\n/set temperature 0\n/set\nHello\n/quit\nno`,
    ...hh,
  );
  expect(code).toBe(1);
  expect(stderr.split('\n')).toEqual([
    'error: there is no turn to take back',
    'error: there is no /nope; /help shows what there is',
    'error: there is no turn yet that could be saved',
    'error: name the file after /save: a new one, such as talk.jsonl',
    'error: /set takes one of max-new-tokens, temperature, top-k, top-p, seed and its value',
    'error: --temperature: "hot" is not allowed; a number from 0 is',
    'error: seed needs a value: only top-k and top-p can be none (off)',
    'max-new-tokens 12, temperature 0, top-k none, top-p none, seed 4',
    'max-new-tokens 12, temperature 0, top-k none, top-p none, seed 4',
    'cut at --max-new-tokens 12',
    '',
  ]);
  expect(existsSync(out)).toBe(false);
  expect(stdout.trimEnd().split('\n')).toHaveLength(1);
});

test('a model without a chat template goes on with one text, and says so', async () => {
  const { stderr } = await piped('Once upon a time', '--max-new-tokens', '5');
  expect(stderr).toMatch(/llama-tiny has no chat template: it goes on with your lines as one text; --chat-template/);
  expect((await piped('Once', '--max-new-tokens', '5', '--chat-template', 'none')).stderr).toBe(
    'cut at --max-new-tokens 5\n',
  );
});

test('Ctrl-C ends an answer, which stays in the conversation, and at the prompt the chat', async () => {
  const out = file();
  const prompt = atPrompts('Hello\r', `ve ${out}\r`, '/help\r', '\x03');
  let isStopped = false;
  const { code, stdout, stderr, shown } = await typed(
    (all) => {
      const keys = prompt(all);
      if (keys !== undefined || isStopped || !all.includes('Hello\r\n') || all.length < 120) return keys;
      isStopped = true;
      // What is typed meanwhile is not shown, and is the beginning of the next line.
      return '\x03/sa';
    },
    ...['--chat-template', 'hh', '--max-new-tokens', '200', '--temperature', '0.5'],
  );
  expect(code).toBe(0);
  expect(stderr).toMatch(/^\/help says .*\nstopped\nwrote 1 line to .*\n\/reset .*\n/);
  expect(
    shown
      .trimEnd()
      .split('\n')
      .every((line) => line.length <= 100),
  ).toBe(true);
  const { messages } = JSON.parse(readFileSync(out, 'utf8'));
  expect(messages).toEqual([
    { role: 'user', content: 'Hello' },
    { role: 'assistant', content: stdout.slice(0, -1) },
  ]);
});

test('lines that are pasted are turns one after the other', async () => {
  const { stdout, stderr } = await typed(atPrompts('Hello\rWhy?\r', '/quit\r'), ...hh);
  expect(stderr.match(/cut at/g)).toHaveLength(2);
  expect(stdout).toBe((await piped('Hello\nWhy?', ...hh)).stdout);
});

test('a question that one of two models cannot take is a turn of none', async () => {
  const long = 'x '.repeat(80);
  const out = file();
  const { stderr } = await piped(`Hello\n${long}\n/save ${out}`, ...hh, '--against', other);
  expect(stderr).toMatch(/this is no turn/);
  expect(stderr).toMatch(/error: this has \d+ tokens by itself/);
  const rows = readFileSync(out, 'utf8').trimEnd().split('\n');
  expect(rows.map((row) => JSON.parse(row).messages.length)).toEqual([2, 2]);
});

test.each([
  [['--against-adapter', 'x'], /--against-adapter has no effect without --against/],
  [['--temperature', '0', '--top-p', '0.5'], /--top-p has no effect with --temperature 0/],
  [['--stop', ''], /--stop: "" is not allowed/],
  [['--chat-template', 'y'], /y is not a chat template: name one with --chat-template/],
])('refuses %j', async (flags, message) => {
  await expect(asPrinted(piped('Hello', ...flags))).rejects.toThrow(message);
});
