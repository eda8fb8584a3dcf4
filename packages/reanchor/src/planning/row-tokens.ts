import {
  loadRows,
  modelOfRun,
  modelPlace,
  type RowPlace,
  resolveSources,
  sourceOfRun,
  type TokenizedExample,
  type TokenizedPair,
  type TokenizedText,
} from '../data/index.js';
import { type HubOptions, modelFolder } from '../hub/index.js';
import { type Recipe, recipeHere } from '../recipe/index.js';
import type { RunText } from '../runs/index.js';
import { loadTokenizer, type Tokenizer, tokenTexts } from '../text/index.js';
import { type RecipeData, recipeData } from './data.js';

/** A token as text, and whether the loss scores it. */
export interface ShownToken {
  text: string;
  isScored: boolean;
}

/** A row as the model sees it: the prompt, then each completion. */
export interface RowTokens extends RowPlace {
  parts: { name: string; tokens: ShownToken[] }[];
}

/**
 * The first `rows` rows of a recipe's training data, token by token, which chat template has made text of them and
 * whether they begin with BOS, and what has to be said about the data. Nothing is trained, and of the model only the
 * tokenizer is read. Of a run, chat template, tokenizer and date are its own. Errors: those of `recipeData`.
 */
export async function rowTokens(
  of: Recipe | RunText,
  rows: number,
  { onDownload }: Pick<HubOptions, 'onDownload'> = {},
): Promise<{ rows: RowTokens[]; template: string; notes: string[] }> {
  const notes: string[] = [];
  const recipe = 'info' in of ? recipeOfRun(of) : recipeHere(of);
  const now = 'info' in of ? of.now : undefined;
  const hub: HubOptions = { onDownload, onNote: (note) => notes.push(note) };
  const place = await ('info' in of ? modelPlace : modelFolder)(recipe.model, { ...hub, weights: false });
  const tokenizer = await loadTokenizer(place);
  const { validation: _held, ...data } = recipe.data;
  const first = { ...recipe, data: { ...data, limit: Math.min(rows, data.limit ?? rows) } };
  const shown = await recipeData(first, tokenizer, { ...hub, now, isKept: false });
  notes.push(...shown.report.notes);
  for (const { byReason, remarks } of shown.report.skips) {
    for (const [reason, places] of byReason) {
      for (const { file, line } of places) notes.push(`${file}:${line} is skipped: ${reason}`);
    }
    for (const [remark, places] of remarks) {
      for (const { file, line } of places) notes.push(`${file}:${line}: ${remark}`);
    }
  }
  const named = 'info' in of ? of.recipe.data.chatTemplate : recipe.data.chatTemplate;
  const template = [await templateText(first, shown.kind, named), startText(shown, tokenizer)].join('; ');
  return { rows: partsOf(shown, tokenizer), template, notes };
}

/** The recipe of a run as it can be read today: its model is the one that it has left, with tokenizer and template. */
function recipeOfRun(run: RunText): Recipe {
  const { recipe, folder, chatTemplate } = run;
  const source = (name: string) => sourceOfRun(run, 'data.train', name, 'go to the folder in which the run began');
  const train = [recipe.data.train]
    .flat()
    .map((one) => (typeof one === 'string' ? source(one) : { ...one, source: source(one.source) }));
  const model = folder ?? modelOfRun(run, 'model', recipe.model, 'go to the folder in which the run began');
  return { ...recipe, model, data: { ...recipe.data, train, chatTemplate } };
}

/** What rows begin with, in words: in chats the template alone decides on BOS. */
function startText(data: RecipeData, { bosToken, bosId }: Tokenizer): string {
  if (bosId === undefined) return 'the tokenizer has no BOS token';
  const starts = Array.from<Row, boolean>(
    data.train,
    (row) => [...row.prompt.subarray(0, 1), ...firstOf(row)][0] === bosId,
  );
  const how = starts.every(Boolean) ? 'every row begins' : starts.some(Boolean) ? 'some rows begin' : 'no row begins';
  return `${how} with BOS ${bosToken}`;
}

type Row = TokenizedPair | TokenizedExample | TokenizedText;

/** The first token of a row's completion. */
const firstOf = (row: Row) => ('chosen' in row ? row.chosen : row.completion).subarray(0, 1);

/** Which chat template the rows go through, in words; `name` is what the recipe calls it. */
async function templateText({ data }: Recipe, kind: RecipeData['kind'], name: string | undefined): Promise<string> {
  const { format, limit } = data;
  if (name === 'model') return "every row through the model's own chat template";
  if (name !== undefined)
    return `every row through the chat template ${name.length > 40 ? `${name.slice(0, 40)}...` : name}`;
  const [first] = [data.train].flat();
  const [source] = await resolveSources([typeof first === 'object' ? first.source : first!], 'train');
  const rows = await loadRows(kind, source!.records(), { format, limit });
  const isChat = rows.some(
    ({ prompt, ...row }) => typeof prompt !== 'string' || Object.values(row).some(Array.isArray),
  );
  return isChat ? "chats through the model's own chat template" : 'plain text, no chat template';
}

function partsOf(data: RecipeData, tokenizer: Tokenizer): RowTokens[] {
  const part = (name: string, ids: Int32Array, isScored: (i: number) => boolean) => ({
    name,
    tokens: tokenTexts(ids, tokenizer).map((text, i) => ({ text, isScored: isScored(i) })),
  });
  const none = () => false;
  const place = ({ index, line, file }: RowPlace) => ({ index, line, file });
  switch (data.kind) {
    case 'pairs':
      return Array.from(data.train, (row) => ({
        ...place(row),
        parts: [
          part('prompt', row.prompt, none),
          part('chosen', row.chosen, (i) => row.chosenScored?.[i] !== 0),
          part('rejected', row.rejected, (i) => row.rejectedScored?.[i] !== 0),
        ],
      }));
    case 'unpaired':
      return Array.from(data.train, (row) => ({
        ...place(row),
        parts: [
          part('prompt', row.prompt, none),
          part(row.label ? 'desirable' : 'undesirable', row.completion, (i) => row.scored?.[i] !== 0),
        ],
      }));
    case 'sft':
      return Array.from(data.train, (row) => ({
        ...place(row),
        parts: [
          part('prompt', row.prompt, none),
          // After an empty prompt nothing predicts the first token.
          part('text', row.completion, (i) => (row.scored?.[i] ?? 1) === 1 && (i > 0 || row.prompt.length > 0)),
        ],
      }));
  }
}
