// Files of a folder that do not say the same: what transformers takes, or an error.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { fixtures } from '../../../../tests/support/repository.js';
import { FormatError } from '../errors.js';
import { loadTokenizer, type Tokenizer } from './tokenizer.js';

type Named = [string, number] | null;
interface Case {
  name: string;
  base: string;
  files: Record<string, unknown>;
  patch?: Record<string, unknown>;
  class?: string;
  tokens?: Record<'eos_token' | 'bos_token' | 'pad_token', Named>;
  answer?: number;
}

const read = (name: string) => JSON.parse(readFileSync(join(fixtures, 'tokenizer-configs', name), 'utf8')) as unknown;
const { answers, cases } = read('cases.json') as { answers: Record<string, [number[], string]>[]; cases: Case[] };

function definitionOf({ base, patch = {} }: Case): unknown {
  const definition = read(`base-${base}.json`) as Record<string, unknown>;
  for (const [path, value] of Object.entries(patch)) {
    const keys = path.split('.');
    const last = keys.pop()!;
    let place = definition;
    for (const key of keys) place = place[key] as Record<string, unknown>;
    place[last] = value;
  }
  return definition;
}

async function load(one: Case, files: Record<string, unknown> = one.files): Promise<Tokenizer> {
  const folder = mkdtempSync(join(tmpdir(), 'tokenizer-configs-'));
  try {
    for (const [name, value] of Object.entries({ 'tokenizer.json': definitionOf(one), ...files })) {
      writeFileSync(join(folder, name), JSON.stringify(value));
    }
    return await loadTokenizer(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** A token that only the class names is none where the vocabulary lacks it: transformers would make up an id. */
const known = (named: Named) => (named && /^<\|(endoftext|padding)\|>$/.test(named[0]) ? null : named);
const named = (token: string | undefined, id: number | undefined): Named =>
  token === undefined || id === undefined ? null : [token, id];

/** What is not taken as transformers takes it, but refused. */
const refused: Record<string, RegExp> = {
  'GPT2TokenizerFast, a decoder that leaves tokens out':
    /tokenizer\.json: .* added_tokens_decoder of tokenizer_config\.json leaves out "<pad>", and GPT2Tokenizer of transformers/,
  split_special_tokens: /split_special_tokens of tokenizer_config\.json is not supported: set it to false/,
};

test('tokens, ids and texts are those of transformers 5.18', async () => {
  const answered = cases.filter(({ answer, name }) => answer !== undefined && !(name in refused));
  expect(answered.length).toBeGreaterThan(500);
  expect(new Set(answered.map((one) => one.class)).size).toBe(5);
  for (const one of answered) {
    const tokenizer = await load(one);
    const found = Object.keys(answers[one.answer!]!).map((text) => {
      const ids = tokenizer.encode(text, { addSpecialTokens: false });
      return [text, [ids, tokenizer.decode(ids)]];
    });
    expect([one.name, Object.fromEntries(found)]).toEqual([one.name, answers[one.answer!]]);
    const { eosToken, eosId, bosToken, bosId, padToken, padId } = tokenizer;
    const { eos_token, bos_token, pad_token } = one.tokens!;
    const tokens = [named(eosToken, eosId), named(bosToken, bosId), named(padToken, padId)];
    expect([one.name, ...tokens]).toEqual([one.name, known(eos_token), known(bos_token), known(pad_token)]);
  }
});

test.each(Object.entries(refused))('%s is refused', async (name, message) => {
  const error = await load(cases.find((one) => one.name === name)!).catch((one: unknown) => one);
  expect(error).toBeInstanceOf(FormatError);
  expect((error as Error).message).toMatch(message);
});

test('an empty token is none', async () => {
  const config = { ...(cases[0]!.files['tokenizer_config.json'] as object), pad_token: '', extra_special_tokens: [''] };
  const tokenizer = await load(cases[0]!, { 'tokenizer_config.json': config });
  expect(tokenizer.encode('Hello')).toEqual(answers[0]!.Hello![0]);
});

test.each([
  ['eos_token', 'tokenizer_config.json', { 'tokenizer_config.json': { eos_token: '<nothing>' } }],
  ['bos_token', 'special_tokens_map.json', { 'special_tokens_map.json': { bos_token: { content: '<nothing>' } } }],
])('%s that the vocabulary lacks is refused with the name of its file', async (key, file, files) => {
  await expect(load(cases[0]!, files)).rejects.toThrow(
    `tokenizer.json: ${key} "<nothing>" of ${file} is not in the vocabulary: name one that is`,
  );
});
