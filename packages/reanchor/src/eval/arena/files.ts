/** The files of Arena-Hard 0.1 and 2.0. */
import { FormatError, UserError } from '../../errors.js';
import { readRecords } from '../../formats/index.js';
import { placesOf } from '../answers.js';
import { type ArenaJudgment, type ArenaVersion, arenaRules } from './leaderboard.js';
import { type Style, styleOf } from './style.js';
import { type ArenaVerdict, labelOf, readVerdict } from './verdict.js';

export interface ArenaQuestion {
  uid: string;
  category: string;
  prompt: string;
}

export interface ArenaAnswer {
  uid: string;
  model: string;
  text: string;
  style: Style;
}

type Row = Record<string, unknown>;

/** The questions of a file: rows {uid (or question_id), category, prompt}. Errors: UserError, FormatError. */
export async function readQuestions(file: string): Promise<ArenaQuestion[]> {
  const questions: ArenaQuestion[] = [];
  for await (const { where, value } of readRecords(file)) {
    const row = (value ?? {}) as Row;
    const [uid, prompt] = [uidOf(row), textOf(row.prompt) ?? textOf(at(row, 'turns', 0, 'content'))];
    if (uid === undefined || prompt === undefined) {
      throw new FormatError('a question is {"uid", "category", "prompt"}', { file, where: String(where) });
    }
    questions.push({ uid, prompt, category: textOf(row.category) ?? 'arena-hard-v0.1' });
  }
  if (questions.length === 0) throw new UserError(`${file}: no questions`);
  return questions;
}

/** The version whose categories the questions have. */
export function versionOf(questions: readonly { category: string }[]): ArenaVersion {
  return questions.every(({ category }) => category in arenaRules['v2.0'].baselines) ? 'v2.0' : 'v0.1';
}

/**
 * A model's answers by question, in the form of Arena-Hard 2.0 (messages), of 0.1 (choices), or {uid or prompt,
 * completion}, which are matched with `questions` by prompt. The model is the rows' own, else `name`. Style is what the
 * rows' metadata say, else counted. Errors: UserError, FormatError.
 */
export async function readArenaAnswers(
  file: string,
  questions: readonly ArenaQuestion[],
  name?: string,
): Promise<Map<string, ArenaAnswer>> {
  const rows: { row: Row; text: string; where: number }[] = [];
  for await (const { where, value } of readRecords(file)) {
    const row = (value ?? {}) as Row;
    const text = answerText(row);
    if (text === undefined) {
      const forms = '"messages" (2.0), "choices" (0.1) or "completion"';
      throw new FormatError(`no answer: a row has ${forms}`, { file, where: String(where) });
    }
    rows.push({ row, text, where });
  }
  const answers = new Map<string, ArenaAnswer>();
  const prompts = rows.map(({ row }) => (uidOf(row) === undefined ? (textOf(row.prompt) ?? '') : ''));
  const places = placesOf(
    prompts,
    questions.map(({ prompt }) => prompt),
  );
  for (const [i, { row, text, where }] of rows.entries()) {
    const uid = uidOf(row) ?? questions[places[i]!]?.uid;
    const model = textOf(row.model) ?? textOf(row.model_id) ?? name;
    if (uid === undefined || model === undefined) {
      const missing = uid === undefined ? 'neither a uid nor a prompt of the questions' : 'no model';
      throw new FormatError(`${missing} in the row`, { file, where: String(where) });
    }
    answers.set(uid, { uid, model: model.split('/').at(-1)!, text, style: knownStyle(row) ?? styleOf(text) });
  }
  if (answers.size === 0) throw new UserError(`${file}: no answers`);
  return answers;
}

/**
 * Judgments: rows {uid (or question_id), category, model, baseline, games: [{score, judgment}]}. A game's verdict is its
 * `score`; where there is none, it is read from the judge's text. Errors: UserError, FormatError.
 */
export async function readJudgments(file: string, version?: ArenaVersion): Promise<ArenaJudgment[]> {
  const judgments: ArenaJudgment[] = [];
  for await (const { where, value } of readRecords(file)) {
    const row = (value ?? {}) as Row;
    const [uid, model] = [uidOf(row), textOf(row.model)];
    const category = textOf(row.category) ?? 'arena-hard-v0.1';
    const rules = arenaRules[version ?? versionOf([{ category }])];
    const baseline = textOf(row.baseline) ?? (rules.baselines as Record<string, string>)[category];
    if (uid === undefined || model === undefined || baseline === undefined || !Array.isArray(row.games)) {
      throw new FormatError('a judgment is {"uid", "category", "model", "baseline", "games": [two games]}', {
        file,
        where: String(where),
      });
    }
    const verdict = (order: number) => gameVerdict(row.games as unknown[], order, rules.labels);
    const short = (name: string) => name.split('/').at(-1)!;
    judgments.push({
      uid,
      category,
      model: short(model),
      baseline: short(baseline),
      games: [verdict(0), verdict(1)],
    });
  }
  if (judgments.length === 0) throw new UserError(`${file}: no judgments`);
  return judgments;
}

function gameVerdict(games: readonly unknown[], order: number, rule: 'last' | 'only'): ArenaVerdict | undefined {
  const game = (games[order] ?? {}) as Row;
  const score = textOf(game.score);
  if (score !== undefined) return labelOf(score.toUpperCase());
  const text = textOf(game.judgment) ?? textOf(at(game, 'judgment', 'answer'));
  const read = text === undefined ? undefined : readVerdict(text, rule);
  return read && 'verdict' in read ? read.verdict : undefined;
}

function answerText(row: Row): string | undefined {
  const messages = row.messages;
  const last = Array.isArray(messages) ? (messages.at(-1) as unknown) : undefined;
  return (
    textOf(at(last, 'content', 'answer')) ??
    textOf(at(last, 'content')) ??
    textOf(at(row, 'choices', 0, 'turns', 0, 'content')) ??
    textOf(row.completion) ??
    textOf(row.output)
  );
}

/** Style as the answer's metadata give it: token_len, and counts by kind of header, list and bold text. */
function knownStyle(row: Row): Style | undefined {
  const metadata = (row.metadata ?? row.conv_metadata) as Row | undefined;
  const counts = ['token_len', 'header_count', 'list_count', 'bold_count'].map((name) => total(metadata?.[name]));
  const [length, headers, lists, bolds] = counts;
  if ([length, headers, lists, bolds].some((one) => one === undefined)) return undefined;
  return { length: length!, headers: headers!, lists: lists!, bolds: bolds! };
}

/** A number, or the sum of an object of numbers. */
function total(value: unknown): number | undefined {
  if (typeof value === 'number') return value;
  if (typeof value !== 'object' || value === null) return undefined;
  const parts = Object.values(value as Row);
  return parts.every((one) => typeof one === 'number') ? parts.reduce((sum: number, one) => sum + one, 0) : undefined;
}

const textOf = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);

const uidOf = (row: Row): string | undefined => textOf(row.uid) ?? textOf(row.question_id);

/** What lies at a path of keys, or undefined. */
const at = (value: unknown, ...path: (string | number)[]): unknown =>
  path.reduce<unknown>((one, key) => (one as Row | undefined | null)?.[key as string], value);
