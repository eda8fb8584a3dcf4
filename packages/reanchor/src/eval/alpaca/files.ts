/** The files of AlpacaEval 2. */
import { FormatError, UserError } from '../../errors.js';
import { readCsv, readJson, readRecords } from '../../formats/index.js';
import { type Answer, characters, placesOf, readAnswers } from '../answers.js';
import type { GamedBaselines, LengthControlWeights, Preferences } from './length-control.js';

/** A model and what was said of it. */
export interface JudgedModel extends Preferences {
  model: string;
}

/**
 * The models of a JSONL file with rows {model, n, len_1[n], len_2[n], preference[n]}; a row is of the first n
 * instructions. Errors: UserError, FormatError.
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
    models.push({ model, len1, len2, preference, index: preference.map((_, i) => i) });
  }
  return models;
}

/** The difficulty of each instruction, from a CSV file with columns index, instruction_difficulty. */
export async function readDifficulty(file: string): Promise<number[]> {
  const rows = await readCsv(file, { required: ['index', 'instruction_difficulty'] });
  const difficulty: number[] = [];
  for (const { line, cells } of rows) {
    const [index, value] = [numeric(cells.index!), numeric(cells.instruction_difficulty!)];
    if (index !== difficulty.length || value === undefined) {
      throw new FormatError('rows are index (0, 1, 2, ...) and difficulty, both numbers', {
        file,
        where: String(line),
      });
    }
    difficulty.push(value);
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

/**
 * The models (output_2's) of AlpacaEval's own annotations, in order of appearance. With `reference`, the baseline's
 * answers in AlpacaEval's order, a row's place is that of its instruction there, otherwise its place in the file. With
 * `outputs`, the model's answers are those; a row that judged another answer is an error. Errors: UserError, FormatError.
 */
export async function readAnnotations(
  file: string,
  { reference, outputs }: { reference?: readonly Answer[] | undefined; outputs?: string | undefined } = {},
): Promise<JudgedModel[]> {
  const byModel = new Map<string, AnnotationRow[]>();
  for await (const { where, value } of readRecords(file)) {
    const row = annotationRow(value, file, where);
    const rows = byModel.get(row.model);
    if (rows) rows.push(row);
    else byModel.set(row.model, [row]);
  }
  if (byModel.size === 0) throw new UserError(`${file}: no annotations`);
  const answers = outputs === undefined ? undefined : await readAnswers(outputs);
  return [...byModel].map(([model, rows]) => {
    const own = answers?.filter((answer) => byModel.size === 1 || answer.model === model);
    const instructions = rows.map(({ instruction }) => instruction);
    const index = reference
      ? found(placesOf(instructions, promptsOf(reference)), rows, file, 'among the baseline’s answers')
      : rows.map((_, i) => i);
    const texts = own && found(placesOf(instructions, promptsOf(own)), rows, file, `in ${outputs}`);
    return {
      model,
      index,
      preference: rows.map(({ preference }) => preference),
      len1: rows.map((row, i) => characters(oneText(row, 'output_1', reference?.[index[i]!]?.text, file))),
      len2: rows.map((row, i) => characters(oneText(row, 'output_2', texts && own[texts[i]!]!.text, file))),
    };
  });
}

interface AnnotationRow {
  instruction: string;
  model: string;
  output_1: string | undefined;
  output_2: string | undefined;
  preference: number | null;
  line: number;
}

function annotationRow(value: unknown, file: string, line: number): AnnotationRow {
  const row = (value ?? {}) as Record<string, unknown>;
  const { instruction, generator_2: model, output_1, output_2, preference = null } = row;
  if (typeof instruction !== 'string' || typeof model !== 'string' || !isPreferences([preference])) {
    const shape = '{"instruction", "output_1", "output_2", "generator_2": texts, "preference": 1 ... 2}';
    throw new FormatError(`an annotation is ${shape}`, { file, where: String(line) });
  }
  const text = (one: unknown) => (typeof one === 'string' ? one : undefined);
  return {
    instruction,
    model,
    output_1: text(output_1),
    output_2: text(output_2),
    preference: preference as number | null,
    line,
  };
}

/** The text of a row's answer; where two files give it, they have to agree. */
function oneText(row: AnnotationRow, field: 'output_1' | 'output_2', other: string | undefined, file: string): string {
  const own = row[field];
  const place = { file, where: String(row.line) };
  if (own !== undefined && other !== undefined && own !== other) {
    throw new FormatError(`its ${field} is another text than the answer in the file of answers: judge again`, place);
  }
  const text = own ?? other;
  if (text === undefined) throw new FormatError(`no ${field}, and no file of answers that has it`, place);
  return text;
}

function found(places: number[], rows: readonly AnnotationRow[], file: string, where: string): number[] {
  const missing = places.indexOf(-1);
  if (missing === -1) return places;
  const message = `its instruction is not (or not so often) ${where}`;
  throw new FormatError(message, { file, where: String(rows[missing]!.line) });
}

const promptsOf = (answers: readonly Answer[]) => answers.map(({ prompt }) => prompt);

const isNumbers = (list: unknown): list is number[] => Array.isArray(list) && list.every(Number.isFinite);

/** Preferences are 1 to 2, 0 for a draw, null for what could not be judged. */
const isPreferences = (list: unknown): list is (number | null)[] =>
  Array.isArray(list) &&
  list.every((one) => one === null || one === 0 || (typeof one === 'number' && one >= 1 && one <= 2));

const numeric = (text: string): number | undefined =>
  text.trim() === '' || !Number.isFinite(Number(text)) ? undefined : Number(text);
