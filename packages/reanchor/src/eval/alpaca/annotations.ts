/** AlpacaEval's own annotations: what a judge said of models' answers beside the baseline's. */
import { type Content, Fields } from '../../data/index.js';
import { FormatError, UserError } from '../../errors.js';
import { isRecord, plainFields, readRecords } from '../../formats/index.js';
import { type Answer, characters, promptOf, readAnswers } from '../answers.js';
import { type Keys, placesOf, promptKeys } from '../prompts.js';
import { isPreferences, type JudgedModel } from './files.js';

/**
 * The models (output_2's) of a file of annotations, in order of appearance. Rows are matched by instruction, and where
 * an instruction occurs several times by the answer: with `reference`, the baseline's answers in AlpacaEval's order, a
 * row's place is that of its instruction there, otherwise its place in the file. With `outputs`, the model's answers
 * are those; a row that judged another answer is an error. Errors: UserError, FormatError.
 */
export async function readAnnotations(
  file: string,
  { reference, outputs }: { reference?: readonly Answer[] | undefined; outputs?: string | undefined } = {},
): Promise<JudgedModel[]> {
  const byModel = new Map<string, AnnotationRow[]>();
  for await (const { where, value } of readRecords(file, { exactNumbers: true })) {
    const row = annotationRow(plainFields(value), file, where);
    const rows = byModel.get(row.model);
    if (rows) rows.push(row);
    else byModel.set(row.model, [row]);
  }
  if (byModel.size === 0) throw new UserError(`${file}: no annotations`);
  const answers = outputs === undefined ? undefined : await readAnswers(outputs);
  return [...byModel].map(([model, rows]): JudgedModel => {
    const named = answers?.filter((answer) => answer.model === model);
    // The answers of one model may go by another name than its annotations.
    const own = named?.length === 0 && byModel.size === 1 ? answers : named;
    const base = reference && matched(rows, 'output_1', reference, file, 'among the baseline’s answers');
    const texts = own && matched(rows, 'output_2', own, file, `in ${outputs}`);
    return {
      model,
      index: base ?? rows.map((_, i) => i),
      preference: rows.map(({ preference }) => preference),
      len1: rows.map((row, i) => characters(oneText(row, 'output_1', base && reference?.[base[i]!]?.text, file))),
      len2: rows.map((row, i) => characters(oneText(row, 'output_2', texts && own[texts[i]!]!.text, file))),
      isBaseline: rows.every(({ baseline }) => baseline === model),
    };
  });
}

interface AnnotationRow {
  prompt: Content;
  baseline: string | undefined;
  model: string;
  output_1: string | undefined;
  output_2: string | undefined;
  preference: number | null;
  line: number;
}

function annotationRow(value: unknown, file: string, line: number): AnnotationRow {
  const shape = '{"instruction", "output_1", "output_2", "generator_2": texts, "preference": 1 ... 2}';
  const wrong = (message: string) => new FormatError(message, { file, where: String(line) });
  if (!isRecord(value)) throw wrong(`an annotation is ${shape}`);
  const { generator_1: baseline, generator_2: model, output_1, output_2, preference = null } = value;
  const fields = new Fields(value, wrong, `an annotation is ${shape}`);
  if (!fields.has('instruction') || typeof model !== 'string' || !isPreferences([preference])) {
    throw wrong(`an annotation is ${shape}`);
  }
  const text = (one: unknown) => (typeof one === 'string' ? one : undefined);
  return {
    prompt: promptOf(fields, 'instruction'),
    baseline: text(baseline),
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

/** Where the rows' instructions stand among the answers. Errors: FormatError for one that is not there. */
function matched(
  rows: readonly AnnotationRow[],
  field: 'output_1' | 'output_2',
  answers: readonly Answer[],
  file: string,
  where: string,
): number[] {
  const places = placesOf(
    rows.map((row) => answerKeys(row.prompt, row[field])),
    answers.map(({ prompt, text }) => answerKeys(prompt, text)),
  );
  const missing = places.indexOf(-1);
  if (missing === -1) return places;
  const message = `its instruction is not (or not so often) ${where}`;
  throw new FormatError(message, { file, where: String(rows[missing]!.line) });
}

/** What an answer is found by: its prompt and its text, or else its prompt. */
function answerKeys(prompt: Content, text: string | undefined): Keys {
  const [strict, loose] = promptKeys(prompt);
  return [text === undefined ? undefined : JSON.stringify([strict, text]), strict, loose];
}
