import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { dataFolder, fixtures } from '../../../../tests/support/repository.js';
import { FormatError, UserError } from '../errors.js';
import { readJsonl } from '../formats/index.js';
import { realTokenizers, tokenizerJson } from './testing/real-tokenizers.js';
import { loadTokenizer, parseTokenizer } from './tokenizer.js';

const fixture = join(fixtures, 'models/llama-tiny');
const definition = () => JSON.parse(readFileSync(join(fixture, 'tokenizer.json'), 'utf8')) as Record<string, unknown>;

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

/** A folder with the fixture's tokenizer, in which some files are replaced, or left out where undefined is given. */
function folderWith(files: Record<string, string | undefined>): string {
  const folder = mkdtempSync(join(tmpdir(), 'tokenizer-'));
  folders.push(folder);
  for (const name of ['tokenizer.json', 'tokenizer_config.json', 'special_tokens_map.json']) {
    if (!(name in files)) cpSync(join(fixture, name), join(folder, name));
  }
  for (const [name, text] of Object.entries(files)) {
    if (text !== undefined) writeFileSync(join(folder, name), text);
  }
  return folder;
}

describe('a tokenizer from a folder', () => {
  test('names its special tokens, its size and its files', async () => {
    const tokenizer = await loadTokenizer(fixture);
    expect(tokenizer).toMatchObject({ eosToken: '</s>', eosId: 2, bosToken: '<s>', bosId: 1, vocabSize: 512 });
    expect([...tokenizer.files.keys()]).toEqual(['tokenizer.json', 'tokenizer_config.json', 'special_tokens_map.json']);
    for (const [name, bytes] of tokenizer.files) expect(Buffer.from(bytes)).toEqual(readFileSync(join(fixture, name)));
  });

  test('takes a special token from an object, and from special_tokens_map.json when the config has none', async () => {
    const map = JSON.stringify({ eos_token: { content: '</s>' }, bos_token: '<s>' });
    const folder = folderWith({ 'tokenizer_config.json': '{"eos_token": null}', 'special_tokens_map.json': map });
    expect(await loadTokenizer(folder)).toMatchObject({ eosToken: '</s>', bosToken: '<s>', padToken: undefined });
    const config = JSON.stringify({ eos_token: { content: '<s>' } });
    const without = { 'tokenizer_config.json': config, 'special_tokens_map.json': undefined };
    expect((await loadTokenizer(folderWith(without))).eosId).toBe(1);
  });

  test("of an adapter is the adapter's where it has one, and so is the chat template", async () => {
    const base = folderWith({ 'chat_template.jinja': 'base' });
    const none = {
      'tokenizer.json': undefined,
      'tokenizer_config.json': undefined,
      'special_tokens_map.json': undefined,
    };
    const of = async (adapter: string) => (await loadTokenizer({ base, adapter })).chatTemplate;
    expect(await of(folderWith(none))).toBe('base');
    expect(await of(folderWith({ ...none, 'chat_template.jinja': 'own' }))).toBe('own');
    const eos = { 'tokenizer_config.json': '{"eos_token": "<s>"}', 'special_tokens_map.json': undefined };
    const own = await loadTokenizer({ base, adapter: folderWith(eos) });
    expect(own).toMatchObject({ eosToken: '<s>', chatTemplate: 'base' });
    expect(new TextDecoder().decode(own.files.get('chat_template.jinja'))).toBe('base');
    expect(await of(folderWith({ ...eos, 'chat_template.jinja': 'own' }))).toBe('own');
  });

  test("of an adapter goes by the config.json of the base, which decides a tokenizer's class", async () => {
    const files = { 'tokenizer_config.json': '{}', 'special_tokens_map.json': undefined };
    const base = folderWith({ ...files, 'config.json': '{"model_type": "gpt_neox"}' });
    const adapter = folderWith(files);
    expect((await loadTokenizer(adapter)).specialTokens).toEqual({});
    expect((await loadTokenizer({ base, adapter })).specialTokens).toEqual((await loadTokenizer(base)).specialTokens);
    expect((await loadTokenizer(base)).specialTokens).not.toEqual({});
  });

  test.each([
    ['a missing folder', () => join(fixture, 'nowhere'), /nowhere does not exist: name a Hugging Face folder/],
    ['a file', () => join(fixture, 'config.json'), /config.json is a file/],
    [
      'a folder without tokenizer.json',
      () => folderWith({ 'tokenizer.json': undefined }),
      /has no tokenizer.json: .*save_pretrained/,
    ],
    [
      'a SentencePiece model alone',
      () => folderWith({ 'tokenizer.json': undefined, 'tokenizer.model': 'x' }),
      /no tokenizer.json; tokenizer.model alone is not read/,
    ],
    ['a broken tokenizer.json', () => folderWith({ 'tokenizer.json': '{"model":' }), /tokenizer.json: not JSON/],
    [
      'another JSON file',
      () => folderWith({ 'tokenizer.json': '[]' }),
      /tokenizer.json: not a supported tokenizer: it has no model/,
    ],
    [
      'an EOS token that is not in the vocabulary',
      () => folderWith({ 'tokenizer_config.json': '{"eos_token": "<end>", "added_tokens_decoder": {}}' }),
      /eos_token "<end>" of tokenizer_config\.json is not in the vocabulary/,
    ],
  ])('%s is an error that says what to do', async (_name, folder, message) => {
    const error = await loadTokenizer(folder()).catch((error: unknown) => error);
    expect(error).toBeInstanceOf(UserError);
    expect((error as Error).message).toMatch(message);
  });

  test('a folder may lack everything but tokenizer.json', async () => {
    const folder = folderWith({ 'tokenizer_config.json': undefined, 'special_tokens_map.json': undefined });
    expect((await loadTokenizer(folder)).eosToken).toBeUndefined();
  });
});

test.each<[string, unknown, string | undefined]>([
  ['a text', 'a', 'a'],
  [
    'a list of named ones',
    [
      { name: 'tool_use', template: 'b' },
      { name: 'default', template: 'a' },
    ],
    'a',
  ],
  ['an object of named ones', { tool_use: 'b', default: 'a' }, 'a'],
  ['named ones without a default', [{ name: 'tool_use', template: 'b' }], undefined],
  ['null', null, undefined],
])('a chat template may be %s', async (_what, chat_template, expected) => {
  const folder = folderWith({ 'tokenizer_config.json': JSON.stringify({ chat_template }) });
  expect((await loadTokenizer(folder)).chatTemplate).toBe(expected);
  writeFileSync(join(folder, 'chat_template.jinja'), 'of its own file');
  expect((await loadTokenizer(folder)).chatTemplate).toBe('of its own file');
});

describe('encode and decode', () => {
  const tokenizer = parseTokenizer(definition());

  test('BOS comes from the post-processor, and can be left out', () => {
    expect(tokenizer.encode('Once')[0]).toBe(1);
    expect(tokenizer.encode('Once', { addSpecialTokens: false })).toEqual(tokenizer.encode('Once').slice(1));
    expect(tokenizer.encode('')).toEqual([1]);
  });

  test('special tokens in a text are recognised', () => {
    expect(tokenizer.encode('a</s>').at(-1)).toBe(2);
    expect(tokenizer.encode('<s>', { addSpecialTokens: false })).toEqual([1]);
  });

  test('texts come back, byte order marks and broken surrogates included', () => {
    for (const text of ['Once upon a time', ' two  spaces ', '\ufeffmark\u0085\u2028', '😀 e\u0301', '\n\nHuman: hi']) {
      expect(tokenizer.decode(tokenizer.encode(text), { skipSpecialTokens: true })).toBe(text);
    }
    expect(tokenizer.decode(tokenizer.encode('a\ud800b'), { skipSpecialTokens: true })).toBe('a\ufffdb');
  });

  test('no ids, and ids that no token has, are no text', () => {
    expect(tokenizer.decode([])).toBe('');
    expect(tokenizer.decode([100000, -1])).toBe('');
    expect(tokenizer.decode([1, 2])).toBe('<s></s>');
    expect(tokenizer.decode([1, 2], { skipSpecialTokens: true })).toBe('');
  });
});

describe('what the library would compute otherwise is refused', () => {
  const model = definition().model as Record<string, unknown>;
  const token = {
    id: 600,
    content: 'x',
    single_word: true,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: false,
  };
  test.each([
    [
      { normalizer: { type: 'Precompiled', precompiled_charsmap: 'AAA=' } },
      /normalizer Precompiled is not supported; supported: NFC/,
    ],
    [{ normalizer: { type: 'Sequence', normalizers: [{ type: 'BertNormalizer' }] } }, /normalizer BertNormalizer/],
    [{ pre_tokenizer: { type: 'UnicodeScripts' } }, /pre-tokenizer UnicodeScripts/],
    [{ pre_tokenizer: { type: 'Split', pattern: { Regex: '(a)' }, behavior: 'Removed' } }, /capturing group/],
    [{ pre_tokenizer: { type: 'Split', pattern: { String: 'a' }, behavior: 'Contiguous', invert: true } }, /inverted/],
    [{ pre_tokenizer: { type: 'Split', behavior: 'Isolated' } }, /no pattern/],
    [{ decoder: { type: 'CTC' } }, /decoder CTC/],
    [{ model: { ...model, type: 'Unigram' } }, /model Unigram is not supported; BPE is/],
    [{ model: { ...model, dropout: 0.1 } }, /dropout/],
    [{ model: { ...model, continuing_subword_prefix: '##' } }, /continuing_subword_prefix/],
    [{ model: { type: 'BPE', vocab: {} } }, /needs vocab and merges/],
    [{ added_tokens: [token] }, /single_word/],
    [{ added_tokens: 'none' }, /added_tokens is not a list/],
  ])('%j', (part, message) => {
    const parse = () => parseTokenizer({ ...definition(), ...part }, { file: 'tokenizer.json' });
    expect(parse).toThrow(FormatError);
    expect(parse).toThrow(message);
  });
});

describe.skipIf(!dataFolder)('published token vectors', () => {
  test.each(realTokenizers)('%s: ids of 290 texts', async (name) => {
    const tokenizer = parseTokenizer(tokenizerJson(dataFolder!, name));
    let count = 0;
    for await (const { line, value } of readJsonl(join(dataFolder!, 'parity/tokens/tokens.jsonl.gz'))) {
      const row = value as Record<string, unknown>;
      const ids = tokenizer.encode(row.text as string, { addSpecialTokens: name === 'stories260K' });
      expect(ids, `line ${line}`).toEqual(row[name]);
      count++;
    }
    expect(count).toBe(290);
  });

  test.each([
    ['gpt2', 'gpt2', false, 26],
    ['llama3', 'llama3', false, 37],
    ['llama3-with-bos', 'llama3', true, 37],
  ] as const)('%s: ids and decoded texts', (file, name, bos, count) => {
    const vectors = JSON.parse(
      readFileSync(join(dataFolder!, `tokenizers/vectors/transformers-js-${file}.json`), 'utf8'),
    ) as { name: string; text: string; ids: number[]; decoded: string }[];
    const config = { clean_up_tokenization_spaces: true };
    const tokenizer = parseTokenizer(tokenizerJson(dataFolder!, name, { bos }), { config });
    for (const { name, text, ids, decoded } of vectors) {
      expect(tokenizer.encode(text), name).toEqual(ids);
      expect(tokenizer.decode(ids), name).toBe(decoded);
    }
    expect(vectors.length).toBe(count);
  });
});
