import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import { asPrinted } from '../../../../tests/support/as-printed.js';
import type { GenerateFlags } from './generate.js';
import { generateVerb } from './generate.js';
import { commandLine } from './main.js';
import { Terminal } from './terminal.js';

const model = fileURLToPath(new URL('../../../../tests/fixtures/models/llama-tiny', import.meta.url));

/** Hears what is written to stderr. */
let onErrors: (text: string) => void = () => {};
afterEach(() => {
  onErrors = () => {};
});

/** Runs the verb with flags as they are typed. */
async function run(...flags: string[]) {
  const written = { stdout: '', stderr: '' };
  const terminal = new Terminal({
    stdout: { write: (text) => (written.stdout += text) },
    stderr: {
      write: (text) => {
        written.stderr += text;
        onErrors(text);
      },
    },
    env: {},
  });
  const verb = commandLine(terminal).commands.find((command) => command.name() === 'generate')!;
  verb.parseOptions(['--model', model, ...flags]);
  return { code: await generateVerb(verb.opts<GenerateFlags>(), terminal), ...written };
}

const short = ['--max-new-tokens', '30', '--seed', '4'];

test('one prompt goes to stdout, and --stop ends it before the string, whichever comes first', async () => {
  const free = await run('--prompt', 'Hello', ...short);
  expect(free).toMatchObject({ code: 0, stderr: 'cut at --max-new-tokens 30\n' });
  const text = free.stdout.slice(0, -1);
  const [late, early] = [text.slice(-12, -9), text.slice(7, 10)];
  const stopped = await run('--prompt', 'Hello', ...short, '--stop', late, '--stop', early);
  expect(stopped).toMatchObject({ code: 0, stderr: 'ended by itself\n' });
  expect(stopped.stdout).toBe(`${text.slice(0, text.indexOf(early))}\n`);
});

test('a text that may become longer than the model was made for is told of before it is written', async () => {
  const { stderr } = await run('--prompt', 'Hello', '--max-new-tokens', '255', '--seed', '4');
  expect(stderr).toMatch(
    /^the longest prompt has \d tokens, up to 2\d\d with .* made for 256 \(max_position_embeddings\)/,
  );
  expect(stderr.match(/max_position_embeddings/g)).toHaveLength(1);
});

test('a file goes to --out, with --stop, --samples and the others', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'verb-'));
  const [prompts, out] = [join(folder, 'prompts.jsonl'), join(folder, 'out.jsonl')];
  writeFileSync(prompts, '{"prompt": "Hello"}\n{"messages": [{"role": "user", "content": "Hello"}]}\n');
  const flags = ['--prompts', prompts, '--out', out, '--samples', '3', '--stop', 'a', '--stop', 'e'];
  const more = [
    '--top-k',
    '50',
    '--top-p',
    '0.9',
    '--temperature',
    '0.8',
    '--batch-size',
    '4',
    '--chat-template',
    'hh',
  ];
  const { code, stdout, stderr } = await run(...flags, ...more, ...short);
  expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
  expect(stderr).toMatch(/^generating \d of 6.*\n(.*\n)*wrote 6 completions to .*out\.jsonl\n$/);
  const lines = readFileSync(out, 'utf8').trimEnd().split('\n');
  const texts = lines.map((line) => JSON.parse(line) as { completion: string; finish: string });
  expect(texts).toHaveLength(6);
  for (const { completion } of texts) expect(completion).not.toMatch(/[ae]/);
  expect(texts.some(({ finish }) => finish === 'stop')).toBe(true);
});

test('Ctrl-C ends it with exit code 1, and says where what is done is kept', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'verb-'));
  const [prompts, out] = [join(folder, 'prompts.jsonl'), join(folder, 'out.jsonl')];
  writeFileSync(prompts, '{"prompt": "Hello"}\n'.repeat(20));
  const listeners = process.listenerCount('SIGINT');
  onErrors = (text) => text.startsWith('generating') && process.emit('SIGINT');
  const { code, stderr } = await run(
    '--prompts',
    prompts,
    '--out',
    out,
    '--batch-size',
    '1',
    '--max-new-tokens',
    '200',
  );
  expect(code).toBe(1);
  expect(stderr).toMatch(/stopped by Ctrl-C: what is done is in .*out\.jsonl\.partial, and the same command goes on/);
  expect(process.listenerCount('SIGINT')).toBe(listeners);
});

test.each([
  [[], /either --prompts with a file, or --prompt/],
  [['--prompts', 'x', '--prompt', 'x'], /either --prompts/],
  [['--prompts', 'x'], /--out is missing/],
  [['--prompt', 'x', '--out', 'y'], /--out has no effect/],
  [['--prompt', 'x', '--samples', '2'], /--samples has no effect with --prompt/],
  [['--prompt', 'x', '--temperature', '0', '--top-p', '0.5'], /--top-p has no effect with --temperature 0/],
  [['--prompt', 'x', '--temperature', 'hot'], /--temperature: "hot" is not allowed; a number from 0 is/],
  [['--prompt', 'x', '--top-p', '0'], /--top-p: "0" is not allowed/],
  [['--prompt', 'x', '--max-new-tokens', '0'], /--max-new-tokens: "0" is not allowed/],
  [['--prompt', 'x', '--batch-size', '1.5'], /--batch-size: "1.5" is not allowed/],
  [['--prompt', 'x', '--stop', ''], /--stop: "" is not allowed/],
  [['--prompt', 'x', '--chat-template', 'y'], /y is not a chat template: name one with --chat-template/],
])('refuses %j', async (flags, message) => {
  await expect(asPrinted(run(...flags))).rejects.toThrow(message);
});
