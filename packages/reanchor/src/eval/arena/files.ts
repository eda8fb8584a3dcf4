/** The files of Arena-Hard 0.1 and 2.0. */
import type { Content } from '../../data/index.js';
import { FormatError, UserError } from '../../errors.js';
import { readRecords } from '../../formats/index.js';
import { answerOf, characters } from '../answers.js';
import { placesOf, promptKeys } from '../prompts.js';
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
  /** Its length in tokens, where its file says so; then the style's length is that. */
  tokens?: number | undefined;
}

type Row = Record<string, unknown>;

/** The version that the categories are of; questions of one's own go by the rules of 2.0. */
export function versionOf(questions: readonly { category: string }[]): ArenaVersion {
  return questions.every(({ category }) => !(category in arenaRules['v0.1'].baselines)) ? 'v2.0' : 'v0.1';
}

/**
 * The questions of a file: rows {uid (or question_id), category, prompt (or turns, of which there is one)}. Errors:
 * UserError, FormatError; that for a question of several turns, of which the benchmark has none.
 */
export async function readQuestions(file: string): Promise<ArenaQuestion[]> {
  const questions: ArenaQuestion[] = [];
  for await (const { where, value } of readRecords(file)) {
    const row = (value ?? {}) as Row;
    const [uid, prompt] = [uidOf(row), textOf(row.prompt) ?? turnText(onlyTurn(row.turns, file, where))];
    if (uid === undefined || prompt === undefined) {
      throw new FormatError('a question is {"uid", "category", "prompt"}', { file, where: String(where) });
    }
    questions.push({ uid, prompt, category: textOf(row.category) ?? 'arena-hard-v0.1' });
  }
  if (questions.length === 0) throw new UserError(`${file}: no questions`);
  return questions;
}

/**
 * The answers of a file, in the form of Arena-Hard 2.0 (messages), of 0.1 (choices), or {uid or prompt, completion} as
 * in all files of answers, which are matched with `questions` by prompt. The model is the rows' own, else `name`. Style
 * is what the rows' metadata say, else counted. Errors: UserError, FormatError; that for a second answer of a model to
 * a question.
 */
export async function readArenaAnswers(
  file: string,
  questions: readonly ArenaQuestion[],
  name?: string,
): Promise<ArenaAnswer[]> {
  const byModel = new Map<string, GivenAnswer[]>();
  for await (const { where, value } of readRecords(file)) {
    const given = givenAnswer((value ?? {}) as Row, file, where, name);
    const rows = byModel.get(given.model);
    if (rows) rows.push(given);
    else byModel.set(given.model, [given]);
  }
  if (byModel.size === 0) throw new UserError(`${file}: no answers`);
  const asked = questions.map(({ prompt }) => promptKeys(prompt));
  return [...byModel.values()].flatMap((rows) => {
    const places = placesOf(
      rows.map(({ uid, prompt }) => (uid === undefined ? promptKeys(prompt) : [undefined, undefined])),
      asked,
    );
    const seen = new Set<string>();
    return rows.map(({ uid: own, prompt: _, line, ...answer }, i): ArenaAnswer => {
      const uid = own ?? questions[places[i]!]?.uid;
      const problem =
        uid === undefined
          ? 'neither a uid nor a prompt of the questions in the row (or the question is answered already)'
          : seen.has(uid) && `a second answer of ${answer.model} to question ${uid}: take one out`;
      if (problem) throw new FormatError(problem, { file, where: String(line) });
      seen.add(uid!);
      return { uid: uid!, ...answer };
    });
  });
}

/** An answer whose question may have to be found by the prompt. */
interface GivenAnswer extends Omit<ArenaAnswer, 'uid'> {
  uid: string | undefined;
  prompt: Content;
  line: number;
}

function givenAnswer(row: Row, file: string, line: number, name: string | undefined): GivenAnswer {
  const turn = onlyTurn(at(row, 'choices', 0, 'turns'), file, line);
  const last = Array.isArray(row.messages) ? (row.messages.at(-1) as unknown) : undefined;
  const form = textOf(at(last, 'content', 'answer')) ?? textOf(at(last, 'content')) ?? turnText(turn);
  // A row that names its question needs no prompt.
  const plain = form === undefined ? answerOf({ instruction: '', ...row }, file, line) : undefined;
  const model = textOf(row.model) ?? textOf(row.model_id) ?? plain?.model ?? name;
  if (model === undefined) throw new FormatError('no model in the row', { file, where: String(line) });
  const text = form ?? plain!.text;
  const metadata = (row.metadata ?? row.conv_metadata) as Row | undefined;
  const tokens = total(metadata?.token_len) ?? total(at(turn, 'token_len'));
  return {
    uid: uidOf(row),
    prompt: plain?.prompt ?? '',
    model: model.split('/').at(-1)!,
    text,
    style: styleWith(text, tokens, metadata),
    ...(tokens !== undefined && { tokens }),
    line,
  };
}

/** The one turn of a question or an answer, or undefined. Errors: FormatError for several. */
function onlyTurn(turns: unknown, file: string, line: number): unknown {
  if (!Array.isArray(turns)) return undefined;
  if (turns.length <= 1) return turns[0] as unknown;
  const message = `${turns.length} turns; Arena-Hard has questions of one`;
  throw new FormatError(message, { file, where: String(line) });
}

const turnText = (turn: unknown) => textOf(turn) ?? textOf(at(turn, 'content'));

/**
 * Judgments: rows {uid (or question_id), category, model, baseline, games: [{score, judgment}]}. A game's verdict is
 * its `score`; where there is none, it is read from the judge's text. Errors: UserError, FormatError.
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

/** Style by the answer's tokens and metadata (counts by kind of header, list and bold text), else as counted. */
function styleWith(text: string, tokens: number | undefined, metadata: Row | undefined): Style {
  const [headers, lists, bolds] = ['header', 'list', 'bold'].map((name) => total(metadata?.[`${name}_count`]));
  const length = tokens ?? characters(text) / 4;
  if (headers === undefined || lists === undefined || bolds === undefined) return { ...styleOf(text), length };
  return { length, headers, lists, bolds };
}

/** A number, or the sum of an object of numbers. */
function total(value: unknown): number | undefined {
  if (typeof value === 'number') return value;
  if (typeof value !== 'object' || value === null) return undefined;
  const parts = Object.values(value as Row);
  return parts.every((one) => typeof one === 'number') ? parts.reduce((sum: number, one) => sum + one, 0) : undefined;
}

const textOf = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);

/** A text or a whole number. */
const uidOf = ({ uid = null, question_id }: Row): string | undefined => {
  const given = uid ?? question_id;
  return Number.isInteger(given) ? String(given) : textOf(given);
};

/** What lies at a path of keys, or undefined. */
const at = (value: unknown, ...path: (string | number)[]): unknown =>
  path.reduce<unknown>((one, key) => (one as Row | undefined | null)?.[key as string], value);
