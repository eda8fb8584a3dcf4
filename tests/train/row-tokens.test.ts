// What `reanchor tokens` shows: every token of a row, and which of them are scored.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Terminal } from '#reanchor/cli/terminal.js';
import { tokensVerb } from '#reanchor/cli/tokens.js';
import { rowTokens } from '#reanchor/planning/row-tokens.js';
import { parseRecipe } from '#reanchor/recipe/index.js';
import { tokenTexts } from '#reanchor/text/token-texts.js';
import { loadTokenizer } from '#reanchor/text/tokenizer.js';
import { tinyModel, tinyPairs } from '../support/training.js';

const recipe = (method: string) =>
  parseRecipe(`model: ${tinyModel}\nmethod: ${method}\ndata: { train: ${tinyPairs}, maxLength: 96 }\n`, {
    file: 'r.yaml',
    env: {},
  });
const textOf = (tokens: { text: string }[]) => tokens.map(({ text }) => text).join('');

test('pairs: the prompt is read, both completions are scored to their end', async () => {
  const { rows } = await rowTokens(recipe('dpo'), 2);
  expect(rows).toHaveLength(2);
  expect(rows[0]!.parts.map(({ name }) => name)).toEqual(['prompt', 'chosen', 'rejected']);
  const [prompt, chosen] = rows[0]!.parts as [(typeof rows)[0]['parts'][0], (typeof rows)[0]['parts'][0]];
  expect(prompt.tokens.some(({ isScored }) => isScored)).toBe(false);
  expect(chosen.tokens.every(({ isScored }) => isScored)).toBe(true);
  expect(textOf(prompt.tokens)).toContain('Human:');
});

test('KTO: each row has its label; SFT: the chosen completion is the text', async () => {
  const kto = await rowTokens(recipe('kto'), 1);
  expect(kto.rows.map(({ parts }) => parts[1]!.name)).toEqual(['desirable', 'undesirable']);
  const sft = await rowTokens(recipe('sft'), 1);
  expect(textOf(sft.rows[0]!.parts[1]!.tokens)).toBe(textOf(kto.rows[0]!.parts[1]!.tokens));
});

test('tokens have the spaces and line feeds of the text, and a character of several tokens is whole', async () => {
  const tokenizer = await loadTokenizer(tinyModel);
  const text = 'a dog\n  and \u0131\u011f \u{1f600}, then\ttwo.';
  const texts = tokenTexts(tokenizer.encode(text, { addSpecialTokens: false }), tokenizer);
  expect(texts.join('').replaceAll('\u2026', '')).toBe(text);
  expect(texts.join('')).toContain('\u2026');
  const [first] = (await rowTokens(recipe('dpo'), 1)).rows;
  const { chosen } = JSON.parse(readFileSync(tinyPairs, 'utf8').split('\n')[first!.line - 1]!) as { chosen: string };
  const shown = first!.parts.map(({ tokens }) => textOf(tokens));
  expect(`${shown[0]}${shown[1]}`).toBe(`<s>${chosen}</s>`);
});

test('which chat template makes text of the rows is said', async () => {
  const template = async (data: object) => {
    const { data: given, ...rest } = recipe('sft');
    return (await rowTokens({ ...rest, data: { ...given, ...data } }, 1)).template;
  };
  const folder = mkdtempSync(join(tmpdir(), 'reanchor-tokens-'));
  const chats = join(folder, 'chats.jsonl');
  const messages = [
    { role: 'user', content: 'What is a dog?' },
    { role: 'assistant', content: 'An animal.' },
  ];
  writeFileSync(chats, `${JSON.stringify({ messages })}\n`);
  expect(await template({})).toBe('plain text, no chat template; every row begins with BOS <s>');
  expect(await template({ chatTemplate: 'zephyr' })).toBe(
    'every row through the chat template zephyr; every row begins with BOS <s>',
  );
  expect(await template({ train: chats, chatTemplate: 'hh' })).toBe(
    'every row through the chat template hh; every row begins with BOS <s>',
  );
  const own = '{% for m in messages %}[{{ m.content }}]{% endfor %}';
  expect(await template({ chatTemplate: own })).toMatch(/; no row begins with BOS <s>$/);
  await expect(template({ train: chats })).rejects.toThrow("the model's folder has no chat template");
  rmSync(folder, { recursive: true });
});

test('rows in which a token straddles the end of the prompt, or that are left out, are told of', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'reanchor-tokens-'));
  const file = join(folder, 'rows.jsonl');
  const tokenizer = await loadTokenizer(tinyModel);
  const joined = ['th', 'he', 'in', 'an', 'er'].find((text) => tokenizer.encode(text).length === 2)!;
  const rows = [
    { prompt: `a ${joined[0]}`, chosen: `${joined[1]} x`, rejected: ' y' },
    { prompt: 'a', chosen: ' x', rejected: ' ' },
  ];
  writeFileSync(file, rows.map((row) => JSON.stringify(row)).join('\n'));
  const { data, ...rest } = recipe('dpo');
  const { notes } = await rowTokens({ ...rest, data: { ...data, train: file } }, 2);
  expect(notes).toEqual([
    `${file}:2 is skipped: empty completion`,
    `${file}:1: a token straddles the end of the prompt`,
  ]);
  rmSync(folder, { recursive: true });
});

/** What the command prints where stdout is a terminal or not. */
async function printed(isTTY: boolean, env: Record<string, string> = {}): Promise<string> {
  let text = '';
  const stdout = { write: (some: string) => (text += some), isTTY };
  const terminal = new Terminal({ stdout, stderr: { write: () => {}, isTTY: true }, env });
  const file = join(mkdtempSync(join(tmpdir(), 'reanchor-tokens-')), 'r.yaml');
  writeFileSync(file, JSON.stringify({ model: tinyModel, method: 'dpo', data: { train: tinyPairs, maxLength: 96 } }));
  await tokensVerb(file, { set: [], rows: '1' }, terminal);
  return text;
}

test('colours are for a terminal that results go to; elsewhere, and with NO_COLOR, scored tokens stand in braces', async () => {
  const escaped = '\x1b[';
  expect(await printed(true)).toContain(`${escaped}32m`);
  for (const plain of [await printed(false), await printed(true, { NO_COLOR: '1' })]) {
    expect(plain).not.toContain(escaped);
    expect(plain).toMatch(
      /^method dpo; plain text, no chat template; every row begins with BOS <s>; scored tokens are \{in braces\}/,
    );
    expect(plain).toMatch(/ {2}prompt, \d+ tokens, none scored\n {4}[^{]+\n/);
    expect(plain).toMatch(/ {2}chosen, (\d+) tokens, all scored\n {4}\{.+\}\n/);
  }
});
