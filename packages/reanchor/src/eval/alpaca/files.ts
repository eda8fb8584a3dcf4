/** The files of AlpacaEval 2, annotations apart. */
import { FormatError } from '../../errors.js';
import { readCsv, readJson, readRecords } from '../../formats/index.js';
import type { GamedBaselines, LengthControlWeights, Preferences } from './length-control.js';

/** A model and what was said of it. */
export interface JudgedModel extends Preferences {
  model: string;
  /** Whether it is the baseline itself, whose win rate is 50 by definition. */
  isBaseline: boolean;
}

/**
 * The models of a JSONL file with rows {model, n, len_1[n], len_2[n], preference[n]}; a row is of the first n
 * instructions. The baseline itself is told by equal lengths and draws throughout. Errors: UserError, FormatError.
 */
export async function readLcInputs(file: string): Promise<JudgedModel[]> {
  const models: JudgedModel[] = [];
  for await (const { where, value } of readRecords(file)) {
    const row = (value ?? {}) as Record<string, unknown>;
    const { model, len_1: len1, len_2: len2, preference } = row;
    const isWhole =
      typeof model === 'string' &&
      isNumbers(len1) &&
      isNumbers(len2) &&
      isPreferences(preference) &&
      [len1.length, len2.length].every((n) => n === preference.length && n > 0);
    if (!isWhole) {
      const shape = '{"model": name, "len_1": lengths, "len_2": lengths, "preference": numbers 1 ... 2}';
      throw new FormatError(`a row is ${shape}, the three lists equally long`, { file, where: String(where) });
    }
    const isSame = len1.every((length, i) => length === len2[i]) && preference.every(isDraw);
    const index = preference.map((_, i) => i);
    models.push({ model, len1, len2, preference, index, isBaseline: isSame });
  }
  return models;
}

/**
 * The difficulty of each instruction, by its place in AlpacaEval's order, from a CSV file with columns index,
 * instruction_difficulty in any order. Errors: UserError; FormatError for an index that is missing or stands twice.
 */
export async function readDifficulty(file: string): Promise<number[]> {
  const rows = await readCsv(file, { required: ['index', 'instruction_difficulty'] });
  const difficulty = rows.map(() => Number.NaN);
  for (const { line, cells } of rows) {
    const [index, value] = [numeric(cells.index!), numeric(cells.instruction_difficulty!)];
    if (index === undefined || value === undefined || !Number.isNaN(difficulty[index] ?? 0)) {
      const range = `0 to ${rows.length - 1}, each once, since there are ${rows.length} rows`;
      throw new FormatError(`rows are index (${range}) and difficulty, both numbers`, { file, where: String(line) });
    }
    difficulty[index] = value;
  }
  return difficulty;
}

/** The gamed baselines, from a JSON file {S1, S2, lengths: {name: {len_1, len_2}}}. */
export async function readGamedBaselines(file: string, instructions: number): Promise<GamedBaselines> {
  const value = ((await readJson(file)) ?? {}) as Record<string, unknown>;
  const lengths = Object.values((value.lengths ?? {}) as Record<string, Record<string, unknown> | null>);
  const isWhole =
    typeof value.S1 === 'number' &&
    typeof value.S2 === 'number' &&
    lengths.length > 0 &&
    lengths.every((one) => [one?.len_1, one?.len_2].every((list) => isNumbers(list) && list.length === instructions));
  if (!isWhole) {
    const shape = '{"S1": number, "S2": number, "lengths": {name: {"len_1": lengths, "len_2": lengths}}}';
    throw new FormatError(`gamed baselines are ${shape}, with one length for each of ${instructions} difficulties`, {
      file,
    });
  }
  return {
    s1: value.S1 as number,
    s2: value.S2 as number,
    lengths: lengths.map((one) => ({ len1: one!.len_1 as number[], len2: one!.len_2 as number[] })),
  };
}

/** Published numbers of one model; what a file does not have is left out. */
export interface Expected {
  win_rate?: number | undefined;
  standard_error?: number | undefined;
  lc_win_rate?: number | undefined;
  /** The optimum for the listed C. */
  refit_lc?: number | undefined;
  c?: number | undefined;
  weights?: LengthControlWeights | undefined;
}

/**
 * Published numbers by model, from a CSV file with a column model (or one without a name) and any of win_rate,
 * standard_error, length_controlled_winrate, w_len, w_difficulty, w_bias, C, refit_lc.
 */
export async function readExpected(file: string): Promise<Map<string, Expected>> {
  const rows = await readCsv(file);
  return new Map(
    rows.map(({ line, cells }) => {
      const model = cells.model ?? cells[''];
      if (!model) throw new FormatError('no model in the row: a column is called model', { file, where: String(line) });
      const read = (column: string) => (cells[column] === undefined ? undefined : numeric(cells[column]));
      const [w_len, w_difficulty, w_bias] = [read('w_len'), read('w_difficulty'), read('w_bias')];
      const hasWeights = w_len !== undefined && w_difficulty !== undefined && w_bias !== undefined;
      return [
        model,
        {
          win_rate: read('win_rate'),
          standard_error: read('standard_error'),
          lc_win_rate: read('length_controlled_winrate'),
          refit_lc: read('refit_lc'),
          c: read('C'),
          weights: hasWeights ? { w_len, w_difficulty, w_bias } : undefined,
        },
      ];
    }),
  );
}

const isNumbers = (list: unknown): list is number[] => Array.isArray(list) && list.every(Number.isFinite);

/** Preferences are 1 to 2, 0 for a draw, null for what could not be judged. */
export const isPreferences = (list: unknown): list is (number | null)[] =>
  Array.isArray(list) &&
  list.every((one) => one === null || one === 0 || (typeof one === 'number' && one >= 1 && one <= 2));

const isDraw = (preference: number | null) => preference === null || preference === 0 || preference === 1.5;

const numeric = (text: string): number | undefined =>
  text.trim() === '' || !Number.isFinite(Number(text)) ? undefined : Number(text);
