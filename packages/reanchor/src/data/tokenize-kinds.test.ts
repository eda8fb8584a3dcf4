// Examples with a label and texts to be imitated; what is cut, and what is scored.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { dataFolder } from '../../../../tests/support/repository.js';
import { readJsonl } from '../formats/index.js';
import { ChatTemplate, type Message } from '../text/chat-template.js';
import { chatTokenizer } from '../text/testing/chat-vectors.js';
import { loadTokenizer, type Tokenizer } from '../text/tokenizer.js';
import { scoredTokens } from './pack.js';
import type { Content, DataKind, ExampleRow, PreferenceRow, TextRow } from './row.js';
import { loadRows } from './rows.js';
import { sourceRecords } from './sources.js';
import {
  type TokenizedExample,
  type TokenizedOf,
  type TokenizedText,
  type TokenizeOptions,
  tokenizeExample,
  tokenizePair,
  tokenizeRows,
  tokenizeText,
} from './tokenize.js';

/** BOS (1), then a token for each letter; "</s>" is EOS (2). */
const tokenizer = {
  encode: (text: string, { addSpecialTokens = true } = {}) => [
    ...(addSpecialTokens ? [1] : []),
    ...(text.match(/<\/s>|<s>|./gs) ?? []).map((piece) => ({ '</s>': 2, '<s>': 1 })[piece] ?? piece.charCodeAt(0)),
  ],
  eosToken: '</s>',
  eosId: 2,
  bosToken: '<s>',
  bosId: 1,
} as Tokenizer;
const read = (ids: Int32Array | undefined) =>
  ids && Array.from(ids, (id) => ({ 1: '<', 2: '>' })[id] ?? String.fromCharCode(id)).join('');

const place = { index: 0, line: 1, file: 'rows.jsonl' };
const user = (content: string) => ({ role: 'user', content });
const assistant = (content: string) => ({ role: 'assistant', content });

describe('an example with a label', () => {
  const exampleOf = (prompt: string, completion: string, options: TokenizeOptions) => {
    const row: ExampleRow = { ...place, prompt, completion, label: true };
    return tokenizeExample(row, tokenizer, options) as TokenizedExample;
  };

  test('has BOS, EOS and its label', () => {
    const { prompt, completion, ...rest } = exampleOf('ab', 'cd', { maxLength: 9 });
    expect([read(prompt), read(completion)]).toEqual(['<ab', 'cd>']);
    expect(rest).toEqual({ ...place, label: true, boundaryMismatch: false });
  });

  test('keeps the whole completion beside the cut one, for other prompts', () => {
    const { completion, uncut } = exampleOf('ab', 'cdef', { maxLength: 5 });
    expect([read(completion), read(uncut)]).toEqual(['cd', 'cdef>']);
  });
});

describe('a row that is too long', () => {
  const pairOf = (prompt: string, chosen: string, rejected: string, maxLength: number) => {
    const pair = tokenizePair({ ...place, prompt, chosen, rejected }, tokenizer, { maxLength, truncate: 'keepEnd' });
    return 'skipped' in pair ? pair : [read(pair.prompt), read(pair.chosen), read(pair.rejected)];
  };

  test('loses the start of its prompt with keepEnd, BOS apart, so that the longer completion fits', () => {
    expect(pairOf('abcdef', 'ghi', 'j', 8)).toEqual(['<def', 'ghi>', 'j>']);
    expect(pairOf('abcdef', 'ghi', 'j', 6)).toEqual(['<f', 'ghi>', 'j>']);
    expect(pairOf('abcdef', 'ghi', 'j', 11)).toEqual(['<abcdef', 'ghi>', 'j>']);
  });

  test('is skipped with keepEnd when a completion leaves no room for the prompt', () => {
    expect(pairOf('abcdef', 'ghi', 'j', 5)).toEqual({ skipped: 'completion fills maxLength' });
    expect(pairOf('a', 'bcdefghi', 'j', 5)).toEqual({ skipped: 'completion fills maxLength' });
  });
});

describe('a text to be imitated', () => {
  const template = ChatTemplate.of(
    "{{ bos_token }}{% for m in messages %}{{ '[' if m.role == 'assistant' else '(' }}{{ m.content }}{% endfor %}{{ '[' if add_generation_prompt }}",
    { bosToken: '<s>' },
  );
  /** The prompt, the completion, and the completion with a dot for each token that is not scored. */
  const textOf = (prompt: Content, completion: Content, options: TokenizeOptions) => {
    const row: TextRow = { ...place, prompt, completion };
    const isChat = typeof prompt !== 'string';
    const text = tokenizeText(row, tokenizer, { ...(isChat ? { chatTemplate: template } : {}), ...options });
    if ('skipped' in text) return text.skipped;
    const all = read(text.completion)!;
    const scored = [...all].map((letter, i) => ((text.scored?.[i] ?? 1) === 1 ? letter : '.')).join('');
    return [read(text.prompt), scored];
  };
  const chat = [user('ab'), assistant('cd'), user('ef')];
  const answer = [assistant('gh')];

  test('has its completion scored, or all of it', () => {
    expect(textOf('ab', 'cd', { maxLength: 9 })).toEqual(['<ab', 'cd>']);
    expect(textOf('ab', 'cd', { maxLength: 9, loss: 'full' })).toEqual(['', '<abcd>']);
    expect(textOf('', 'abcd', { maxLength: 9 })).toEqual(['', '<abcd>']);
    expect(textOf('ab', 'cd', { maxLength: 9, loss: 'assistant' })).toEqual(['<ab', 'cd>']);
  });

  test('is cut at the end, or at the start but for BOS', () => {
    expect(textOf('ab', 'cdef', { maxLength: 5 })).toEqual(['<ab', 'cd']);
    expect(textOf('abcd', 'ef', { maxLength: 6, truncate: 'keepEnd' })).toEqual(['<cd', 'ef>']);
    expect(textOf('', 'abcdef', { maxLength: 5 })).toEqual(['', '<abcd']);
    expect(textOf('', 'abcdef', { maxLength: 5, truncate: 'keepEnd' })).toEqual(['', '<def>']);
    expect(textOf('ab', 'cdef', { maxLength: 5, loss: 'full' })).toEqual(['', '<abcd']);
    expect(textOf('ab', 'cdef', { maxLength: 5, loss: 'full', truncate: 'keepEnd' })).toEqual(['', '<def>']);
  });

  test('is skipped where nothing is left to score', () => {
    expect(textOf('abcd', 'ef', { maxLength: 5 })).toBe('prompt fills maxLength');
    expect(textOf('abcd', 'ef', { maxLength: 4, truncate: 'keepEnd' })).toBe('completion fills maxLength');
    expect(textOf('ab', ' ', { maxLength: 9 })).toBe('empty completion');
    expect(textOf(chat, [assistant('')], { maxLength: 99, loss: 'assistant' })).toBe('empty completion');
  });

  test('of several turns has the last answer scored, every answer, or all', () => {
    const maxLength = 99;
    expect(textOf(chat, answer, { maxLength })).toEqual(['<(ab[cd(ef[', 'gh']);
    expect(textOf(chat, answer, { maxLength, loss: 'assistant' })).toEqual(['<(ab[', 'cd....gh']);
    expect(textOf(chat, answer, { maxLength, loss: 'full' })).toEqual(['', '<(ab[cd(ef[gh']);
  });

  test('loses answers whose start is cut off', () => {
    const loss = 'assistant';
    expect(textOf(chat, answer, { maxLength: 12, loss })).toEqual(['<(ab[', 'cd....g']);
    expect(textOf(chat, answer, { maxLength: 8, loss })).toEqual(['<(ab[', 'cd.']);
    expect(textOf(chat, answer, { maxLength: 10, loss, truncate: 'keepEnd' })).toEqual(['<[', 'cd....gh']);
    expect(textOf(chat, answer, { maxLength: 9, loss, truncate: 'keepEnd' })).toEqual(['<cd(ef[', 'gh']);
    expect(textOf(chat, answer, { maxLength: 8, loss, truncate: 'keepEnd' })).toEqual(['<d(ef[', 'gh']);
    expect(textOf(chat, answer, { maxLength: 3, loss, truncate: 'keepEnd' })).toBe('completion fills maxLength');
  });
});

describe('which tokens of several turns are scored', () => {
  const template = ChatTemplate.of(
    "{% for m in messages %}{{ '[' if m.role == 'assistant' else '(' }}{{ m.content }}{% endfor %}{{ '[' if add_generation_prompt }}",
  );
  const options = (loss?: 'assistant') => ({ maxLength: 99, chatTemplate: template, loss });
  const masked = (ids: Int32Array, scored: Uint8Array | undefined) =>
    [...read(ids)!].map((letter, i) => (scored?.[i] === 0 ? '.' : letter)).join('');
  const unlearnt = (content: string) => ({ ...assistant(content), weight: 0 });

  const turns = { chosen: [assistant('a'), user('b'), assistant('c')], rejected: [assistant('d')] };
  const scoredPair = (sides: Pick<PreferenceRow, 'chosen' | 'rejected'>, loss?: 'assistant') => {
    const pair = tokenizePair({ ...place, prompt: [user('q')], ...sides }, tokenizer, options(loss));
    if ('skipped' in pair) return pair.skipped;
    return [masked(pair.chosen, pair.chosenScored), masked(pair.rejected, pair.rejectedScored)];
  };

  test('of a pair: all after the prompt, or the answers alone', () => {
    expect(scoredPair(turns)).toEqual(['a(b[c', 'd']);
    expect(scoredPair(turns, 'assistant')).toEqual(['a...c', 'd']);
  });

  test('of a pair: an answer of weight 0 never', () => {
    const sides = { chosen: [unlearnt('a'), user('b'), assistant('c')], rejected: [assistant('d')] };
    expect(scoredPair(sides)).toEqual(['.(b[c', 'd']);
    expect(scoredPair(sides, 'assistant')).toEqual(['....c', 'd']);
    expect(scoredPair({ ...sides, rejected: [unlearnt('d')] })).toBe('no answer that is to be learnt');
  });

  test('of a labelled example: the same, and where it is lent to another prompt', () => {
    const row = { ...place, prompt: [user('q')], completion: turns.chosen, label: true };
    const example = tokenizeExample(row, tokenizer, { ...options('assistant'), maxLength: 5 }) as TokenizedExample;
    expect(masked(example.completion, example.scored)).toBe('a.');
    expect(masked(example.uncut!, example.scored)).toBe('a...c');
    const lent = { prompt: example.prompt, completions: [example.completion], scored: [example.scored] };
    expect(scoredTokens(lent)).toBe(1);
  });

  test('of a text to be imitated: the last answer only if it is to be learnt, of the chat those that are', () => {
    const text = (completion: Message[], loss?: 'assistant' | 'full') => {
      const row = { ...place, prompt: [user('p'), unlearnt('q'), user('r')], completion };
      const found = tokenizeText(row, tokenizer, { ...options(), loss });
      return 'skipped' in found ? found.skipped : masked(found.completion, found.scored);
    };
    expect(text([assistant('a')])).toBe('a');
    expect(text([assistant('a')], 'assistant')).toBe('a');
    expect(text([unlearnt('a')])).toBe('no answer that is to be learnt');
    expect(text([unlearnt('a')], 'assistant')).toBe('no answer that is to be learnt');
    expect(text([unlearnt('a')], 'full')).toBe('(p[.(r[.');
  });
});

describe('what is worth a word about rows that are used', () => {
  const template = ChatTemplate.of(
    '{% for m in messages %}({{ m.content }}{% endfor %}{{ "(" if add_generation_prompt }}',
  );
  const remarks = (row: Partial<PreferenceRow>, options: Partial<TokenizeOptions> = {}) => {
    const whole = { ...place, prompt: [user('q')], chosen: [assistant('a')], rejected: [assistant('b')], ...row };
    const { report } = tokenizeRows('pairs', [whole], tokenizer, { maxLength: 99, chatTemplate: template, ...options });
    return [...report.byReason.keys(), ...report.remarks.keys()].join('; ');
  };

  test('nothing about a plain pair', () => {
    expect(remarks({})).toBe('');
    expect(remarks({ prompt: 'p', chosen: 'a', rejected: 'b' }, { chatTemplate: undefined })).toBe('');
  });

  test('a prompt that stands in the answers again, as text and as messages', () => {
    expect(remarks({ prompt: 'Q:', chosen: 'Q: a', rejected: 'Q: b' }, { chatTemplate: undefined })).toMatch(
      /stands twice/,
    );
    expect(remarks({ chosen: [user('q'), assistant('a')], rejected: [user('q'), assistant('b')] })).toMatch(
      /stands twice/,
    );
  });

  test('turns of the user that are scored, until the answers alone are asked for', () => {
    const turns = { chosen: [assistant('a'), user('u'), assistant('c')] };
    expect(remarks(turns)).toMatch(/turns of others than the assistant are scored \(data.loss: assistant/);
    expect(remarks(turns, { loss: 'assistant' })).toBe('');
  });

  test('what is for a chat template beside plain text', () => {
    const plain = { prompt: 'p', chosen: 'a', rejected: 'b', system: 's' };
    expect(remarks(plain, { chatTemplate: undefined })).toMatch(/the text is plain: system, tools/);
    expect(remarks(plain)).toBe('');
  });

  test('a role that may be a slip', () => {
    expect(remarks({ prompt: [{ role: 'usr', content: 'q' }] })).toMatch(/a message has a role that is not system/);
  });

  test('pairs that are equal say where they became so', () => {
    const [a, b] = [
      { ...assistant('x'), note: '1' },
      { ...assistant('x'), note: '2' },
    ];
    expect(remarks({ chosen: [a], rejected: [b] })).toBe('identical pair as the chat template writes it');
    expect(remarks({ chosen: [a], rejected: [a] })).toBe('identical pair');
    const long = { chosen: [assistant('xxy')], rejected: [assistant('xxz')] };
    expect(remarks(long, { maxLength: 5 })).toBe('identical pair once cut at maxLength');
  });
});

test('rows that a template refuses are reported with its words', () => {
  const strict = ChatTemplate.of(
    "{{ raise_exception('no system message') if messages[0].role == 'system' }}{{ messages | length }}x",
  );
  const rows = [[{ role: 'system', content: 's' }, user('a')], [user('a')]].map((prompt, index) => ({
    ...place,
    index,
    prompt,
    completion: [assistant('b')],
  }));
  const { rows: kept, report } = tokenizeRows('sft', rows, tokenizer, { maxLength: 9, chatTemplate: strict });
  expect(kept).toEqual([]);
  expect([...report.byReason.keys()]).toEqual([
    'the chat template refuses it (no system message)',
    'the chat template changes the prompt when an answer follows',
  ]);
});

test('pairs and the examples and texts made of them have equal ids', async () => {
  const all = chatTokenizer({ bos: true });
  const value = { prompt: 'What is red?', chosen: ' A colour.', rejected: ' No.' };
  async function* records() {
    yield { file: 'f', where: 1, line: 1, value };
  }
  const of = async <Kind extends DataKind>(kind: Kind): Promise<TokenizedOf[Kind][]> =>
    tokenizeRows(kind, await loadRows(kind, records()), all, { maxLength: 99 }).rows;
  const [pair] = await of('pairs');
  const { prompt, chosen, rejected } = pair!;
  const rest = { ...place, file: 'f', prompt, boundaryMismatch: false };
  expect(await of('unpaired')).toEqual([
    { ...rest, completion: chosen, label: true },
    { ...rest, completion: rejected, label: false },
  ]);
  expect(await of('sft')).toEqual([{ ...rest, completion: chosen }]);
});

describe.skipIf(!dataFolder)('as TRL tokenised', () => {
  const load = async <Kind extends DataKind>(kind: Kind, name: string) => {
    const folder = join(dataFolder!, 'parity/traces', name);
    const { args } = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')) as { args: { max_length: number } };
    const rows = await loadRows(kind, sourceRecords([join(folder, 'rows.jsonl.gz')]));
    const model = await loadTokenizer(join(dataFolder!, 'models/stories260K'));
    const expected: unknown[] = [];
    for await (const { value } of readJsonl(join(folder, 'tokens.jsonl.gz'))) expected.push(value);
    const tokens = tokenizeRows(kind, rows, model, { maxLength: args.max_length });
    return { tokens, expected, maxLength: args.max_length };
  };

  test('SFT: ids and labels of every row', async () => {
    const { tokens, expected } = await load('sft', 'sft');
    expect(tokens.rows.length).toBe(128);
    for (const [i, row] of (expected as { input_ids: number[]; labels: number[] }[]).entries()) {
      const { prompt, completion, scored } = tokens.rows[i] as TokenizedText;
      expect([...prompt, ...completion], `row ${i}`).toEqual(row.input_ids.slice(0, 256));
      expect([...prompt.map(() => -100), ...completion], `row ${i}`).toEqual(row.labels.slice(0, 256));
      expect(scored).toBeUndefined();
    }
  });

  test('KTO: ids of every row before and after the cut, and of the completions lent to other prompts', async () => {
    const { tokens, expected, maxLength } = await load('unpaired', 'tr-kto-hard');
    const rows = tokens.rows as TokenizedExample[];
    expect(rows.length).toBe(144);
    let cut = 0;
    for (const [i, row] of (expected as Record<string, number[]>[]).entries()) {
      const { prompt, completion, uncut } = rows[i]!;
      expect([...prompt], `row ${i}`).toEqual(row.prompt_ids);
      expect([...(uncut ?? completion)], `row ${i}`).toEqual(row.completion_ids);
      expect([...completion], `row ${i}`).toEqual(row.completion_ids!.slice(0, maxLength - prompt.length));
      const block = i - (i % 4);
      const lender = rows[block + ((i - block + 3) % 4)]!;
      expect([...(lender.uncut ?? lender.completion)], `row ${i}`).toEqual(row.KL_completion_ids);
      if (uncut) cut++;
    }
    expect(cut).toBe(29);
  });
});
