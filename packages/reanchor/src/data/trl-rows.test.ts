// 500 rows of chats have the ids that TRL 1.13 gives them (tests/oracle/make_rows.py): tools, calls, thoughts,
// variables.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { fixtures, repositoryRoot } from '../../../../tests/support/repository.js';
import { readRecords } from '../formats/index.js';
import { ChatTemplate } from '../text/chat-template.js';
import { chatTokenizer } from '../text/testing/chat-vectors.js';
import type { PreferenceRow } from './row.js';
import { loadRows } from './rows.js';
import { tokenizePair } from './tokenize.js';

type Vector = { template: string; row: Record<string, unknown>; mismatch?: true } & (
  | { prompt: number[]; chosen: number[]; rejected: number[] }
  | { refused: string }
);

const tokenizer = chatTokenizer();
const now = new Date(2026, 0, 2, 3, 4, 5);
const templates = new Map<string, ChatTemplate>();
function templateOf(name: string): ChatTemplate {
  const known = templates.get(name);
  if (known) return known;
  const source = readFileSync(join(repositoryRoot, 'tests/oracle/specs/jinja/templates', `${name}.jinja`), 'utf8');
  const template = ChatTemplate.of(source, { specialTokens: tokenizer.specialTokens });
  templates.set(name, template);
  return template;
}

async function rowOf(value: unknown): Promise<PreferenceRow> {
  async function* records() {
    yield { file: 'rows.jsonl', line: 1, where: 1, value };
  }
  const [row] = await loadRows('pairs', records());
  return row!;
}

test('ids are those of TRL; what a template refuses is skipped with its words, what it changes is skipped', async () => {
  const counts = { equal: 0, straddling: 0, refused: 0, changed: 0 };
  const lines = readRecords(join(fixtures, 'chat/rows.jsonl.gz'), { exactNumbers: true });
  for await (const { line, value } of lines) {
    const vector = value as Vector;
    const options = { maxLength: 1 << 20, chatTemplate: templateOf(vector.template), keepIdentical: true, now };
    const pair = tokenizePair(await rowOf(vector.row), tokenizer, options);
    const what = `line ${line}, template ${vector.template}`;
    if ('refused' in vector) {
      expect(pair, what).toEqual({ skipped: `the chat template refuses it (${vector.refused})` });
      counts.refused++;
    } else if ('skipped' in pair) {
      // Here TRL warns, and cuts the whole after as many tokens as the prompt has, which is not where the answer
      // begins.
      expect([vector.mismatch, pair.skipped], what).toEqual([
        true,
        'the chat template changes the prompt when an answer follows',
      ]);
      counts.changed++;
    } else {
      const ids = [pair.prompt, pair.chosen, pair.rejected].map((some) => [...some]);
      expect(ids, what).toEqual([vector.prompt, vector.chosen, vector.rejected]);
      expect(pair.boundaryMismatch, what).toBe(vector.mismatch ?? false);
      counts[vector.mismatch ? 'straddling' : 'equal']++;
    }
  }
  expect(counts).toEqual({ equal: 452, straddling: 0, refused: 31, changed: 17 });
});
