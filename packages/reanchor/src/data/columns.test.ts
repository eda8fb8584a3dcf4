import { describe, expect, test } from 'vitest';
import type { RawRecord } from '../formats/index.js';
import { loadPrompts } from './prompts.js';
import type { DataKind } from './row.js';
import { loadRows } from './rows.js';

async function* records(rows: readonly unknown[]): AsyncGenerator<RawRecord> {
  for (const [i, value] of rows.entries()) yield { file: 'rows.jsonl', line: i + 1, where: i + 1, value };
}
const notesOf = async (rows: readonly unknown[], kind: DataKind = 'pairs') => {
  const notes: string[] = [];
  await loadRows(kind, records(rows), { name: 'rows.jsonl', onNote: (note) => notes.push(note) });
  return notes;
};
const pair = { prompt: 'p', chosen: 'a', rejected: 'b' };

describe('columns that nothing reads', () => {
  test('are named once, with the rows that have something in them', async () => {
    const rows = [
      { ...pair, persona: 'pirate' },
      { ...pair, persona: '' },
      pair,
      { ...pair, persona: 'x', few_shots: ['y'] },
    ];
    expect(await notesOf(rows)).toEqual([
      'rows.jsonl: the column "persona" of 2 of 4 rows is not read',
      'rows.jsonl: the column "few_shots" of 1 of 4 rows is not read',
    ]);
  });

  test.each([
    'prompt_id',
    'score_chosen',
    'scoreRejected',
    'chosen_model',
    'metadata',
    'source_dataset',
    '__index_level_0__',
    'num_turns',
    'category_path',
    'language',
  ])('that describe a row are no news: %s', async (name) => {
    expect(await notesOf([{ ...pair, [name]: 'x' }])).toEqual([]);
  });

  test.each(['model_output', 'source_text', 'instruction_extra', 'critique', 'score_explanation_text'.slice(6)])(
    'that may be text are: %s',
    async (name) => {
      expect(await notesOf([{ ...pair, [name]: 'x' }])).toEqual([
        `rows.jsonl: the column ${JSON.stringify(name)} of its rows is not read`,
      ]);
    },
  );

  test('columns for the chat template are read, whatever the form', async () => {
    const row = {
      ...pair,
      system: 's',
      tools: [{ type: 'function' }],
      documents: [{ text: 'd' }],
      chat_template_kwargs: { a: 1 },
    };
    expect(await notesOf([row])).toEqual([]);
    expect(await notesOf([{ prompt: 'p', completion: 'c', label: true, system: 's' }], 'unpaired')).toEqual([]);
  });

  test('prompts to be answered are looked at in the same way', async () => {
    const notes: string[] = [];
    const rows = [{ prompt: 'p', id: 1, hint: 'h' }];
    await loadPrompts(records(rows), { name: 'prompts.jsonl', onNote: (note) => notes.push(note) });
    expect(notes).toEqual(['prompts.jsonl: the column "hint" of its rows is not read']);
  });
});
