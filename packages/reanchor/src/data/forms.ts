/** The forms in which published sets write their rows, and what each of them means. */
import type { Message } from '../text/index.js';
import type { Fields } from './fields.js';
import { messageOf, messagesIn } from './message.js';
import { assistantMark, commonMessages, commonPrompt, isTranscript, splitAtLast } from './messages.js';
import type { Content, DataKind, Remark, SkipReason } from './row.js';

/** What a row says, whatever its form; what every form may have besides is read in one place (`rows.ts`). */
export type RowContent = SftContent | PairContent | ExampleContent;
type Said = { prompt: Content; skipped?: SkipReason | undefined; remarks?: readonly Remark[] | undefined };
type SftContent = Said & { kind: 'sft'; completion: Content };
type PairContent = Said & { kind: 'pairs'; chosen: Content; rejected: Content };
type ExampleContent = Said & { kind: 'unpaired'; completion: Content; label: boolean };

interface RowForm {
  /** What a row looks like, for messages. */
  shape: string;
  /** Whether a file whose first row has these fields is of this form. */
  matches(fields: Fields): boolean;
  /** `isNamed` says whether the form was asked for, not seen in the first row. */
  parse(fields: Fields, isNamed: boolean): RowContent;
}

const has = (...names: string[]) => ({ matches: (fields: Fields) => names.every((name) => fields.has(name)) });

/** What sets call the column that says whether a completion is desirable. */
const labelNames = ['label', 'tag', 'kto_tag'];
const labelName = (fields: Fields) =>
  labelNames.find((name) => fields.isFlag(name)) ?? labelNames.find((name) => fields.has(name)) ?? 'label';
const isLabelled = (fields: Fields) => labelNames.some((name) => fields.isFlag(name));
const form = <Form extends RowForm>(form: Form): RowForm => form;

/** The forms, the more particular before the more general: the first that matches a row is its form. */
export const rowForms = {
  rmb: form({
    ...has('conversation_input', 'reject'),
    shape: '{"conversation_input": [messages], "chosen": {"answer"}, "reject": {"answer"}}',
    parse(fields) {
      const answer = (name: string) => [assistantMessage(fields.object(name).text('answer'))];
      const prompt = messagesIn(fields, 'conversation_input');
      return { kind: 'pairs', prompt, chosen: answer('chosen'), rejected: answer('reject') };
    },
  }),

  tldr: form({
    ...has('info', 'summaries'),
    shape: '{"info": {"subreddit", "title", "post"}, "summaries": [{"text"}, {"text"}], "choice": 0 or 1}',
    parse(fields) {
      const info = fields.object('info');
      const summaries = fields.list('summaries', 2).items;
      const choice = fields.number('choice');
      if (choice !== 0 && choice !== 1) throw fields.fault('choice', 'is neither 0 nor 1');
      const text = (i: number) => ` ${summaries.object(String(i)).text('text').trim()}`;
      const pair = { kind: 'pairs', chosen: text(choice), rejected: text(1 - choice) } as const;
      // Some parts of the set are news articles, which have no subreddit.
      if (!info.has('post') || !info.has('subreddit')) return { ...pair, prompt: '', skipped: 'not a Reddit post' };
      const [subreddit, title, post] = ['subreddit', 'title', 'post'].map((name) => info.text(name).trim());
      return { ...pair, prompt: `SUBREDDIT: r/${subreddit}\n\nTITLE: ${title}\n\nPOST: ${post}\n\nTL;DR:` };
    },
  }),

  sharegpt: form({
    shape:
      '{"conversations": [{"from", "value"}, ...]}, for pairs with "chosen" and "rejected", {"from", "value"} each, for KTO with a label',
    matches: (fields) =>
      (fields.isList('conversations') && !fields.isText('chosen')) ||
      (fields.isList('messages') && fields.isObject('chosen') && fields.isObject('rejected')),
    parse(fields) {
      const messages = messagesIn(fields, fields.has('conversations') ? 'conversations' : 'messages');
      if (!fields.has('chosen') && !fields.has('rejected')) return labelled(fields, lastAnswer(messages));
      const [chosen, rejected] = ['chosen', 'rejected'].map((name) =>
        fields.isList(name) ? messagesIn(fields, name) : [messageOf(fields.object(name))],
      ) as [Message[], Message[]];
      return { kind: 'pairs', prompt: messages, chosen, rejected };
    },
  }),

  webgpt: form({
    shape: '{"text": [transcript, transcript], "score": [number, number]}',
    matches: (fields) => fields.isList('text') && fields.isList('score'),
    parse(fields) {
      const texts = fields.list('text', 2).items;
      const scores = fields.list('score', 2).items;
      const mark = '## Assistant:\n';
      const better = scores.number('0') >= scores.number('1') ? 0 : 1;
      const [a, b] = [better, 1 - better].map((i) => {
        const split = splitAtLast(texts.text(String(i)), mark);
        if (!split) throw texts.fault(String(i), 'has no "## Assistant:"');
        return split;
      }) as [Split, Split];
      const pair = transcriptPair(a, b);
      return scores.number('0') === scores.number('1') ? { ...pair, skipped: 'tie' } : pair;
    },
  }),

  'kto-mix': form({
    shape: '{"instruction", "output", "tag": true or false}, and what alpaca may have besides',
    matches: (fields) =>
      ['instruction', 'output'].every((name) => fields.has(name)) && (fields.has('tag') || isLabelled(fields)),
    parse(fields) {
      const completion = [assistantMessage(fields.text('output'))];
      return { kind: 'unpaired', prompt: alpacaPrompt(fields), completion, label: fields.flag(labelName(fields)) };
    },
  }),

  alpaca: form({
    shape:
      '{"instruction", "input"?, "output", "history"?: [[question, answer], ...], "system"?}, for pairs with "chosen" and "rejected" in place of the output',
    matches: (fields) =>
      fields.has('instruction') &&
      (fields.has('output') || (!fields.has('prompt') && fields.has('chosen') && fields.has('rejected'))),
    parse(fields) {
      const prompt = alpacaPrompt(fields);
      if (!fields.has('chosen') && !fields.has('rejected')) {
        return { kind: 'sft', prompt, completion: [assistantMessage(fields.text('output'))] };
      }
      const [chosen, rejected] = ['chosen', 'rejected'].map((side) => {
        const answer = contentOf(fields, side, fields.isList(side));
        return typeof answer === 'string' ? [assistantMessage(answer)] : answer;
      }) as [Message[], Message[]];
      return { kind: 'pairs', prompt, chosen, rejected };
    },
  }),

  hh: form({
    shape: '{"chosen", "rejected"} with transcripts "\\n\\nHuman: ...\\n\\nAssistant: ..."',
    matches: (fields) =>
      !fields.includes('prompt') &&
      ['chosen', 'rejected'].every((side) => fields.isText(side) && isTranscript(fields.text(side))),
    parse(fields, isNamed) {
      const texts = ['chosen', 'rejected'].map((side) => [side, fields.text(side)] as const);
      if (!isNamed) refusePrompt(fields);
      const [a, b] = texts.map(([side, text]) => {
        const split = splitAtLast(text, assistantMark);
        if (!split) {
          throw fields.fault(side, 'has no turn "\\n\\nAssistant:", which a transcript (format hh) needs');
        }
        return split;
      }) as [Split, Split];
      return transcriptPair(a, b);
    },
  }),

  explicit: form({
    shape: '{"prompt", "chosen", "rejected"}, each text or a list of messages {"role", "content"}',
    matches: (fields) => fields.includes('prompt') && (fields.has('chosen') || fields.has('rejected')),
    parse(fields, isNamed) {
      const isChat = fields.isList('chosen');
      const [chosen, rejected] = ['chosen', 'rejected'].map((side) => contentOf(fields, side, isChat)) as Sides;
      if (!isNamed && !fields.includes('prompt')) {
        throw fields.fault('prompt', 'is missing: the first row has one, so every row must');
      }
      const prompt = contentOf(fields, 'prompt', isChat && !fields.isText('prompt'));
      if (typeof chosen === 'string' || typeof rejected === 'string' || typeof prompt !== 'string') {
        return { kind: 'pairs', prompt, chosen, rejected };
      }
      // A text beside whole chats is a label of theirs (ultrafeedback_binarized); beside answers it is the question.
      if (chosen[0]?.role === 'assistant') return { kind: 'pairs', prompt: question(prompt), chosen, rejected };
      return splitChats(chosen, rejected);
    },
  }),

  implicit: form({
    shape: '{"chosen", "rejected"} with whole texts, or whole lists of messages, that begin alike',
    matches: (fields) => fields.has('chosen') || fields.has('rejected'),
    parse(fields, isNamed) {
      const isChat = fields.isList('chosen');
      const [chosen, rejected] = ['chosen', 'rejected'].map((side) => contentOf(fields, side, isChat)) as Sides;
      if (!isNamed) {
        refusePrompt(fields);
        refuseOtherPrompt(fields);
      }
      if (typeof chosen !== 'string' && typeof rejected !== 'string') return splitChats(chosen, rejected);
      const texts = [chosen, rejected] as [string, string];
      const cut = commonPrompt(...texts);
      const [a, b] = texts.map((text) => text.slice(cut)) as [string, string];
      return { kind: 'pairs', prompt: texts[0].slice(0, cut), chosen: a, rejected: b };
    },
  }),

  unpaired: form({
    matches: (fields) =>
      ['prompt', 'completion'].every((name) => fields.has(name)) && (fields.has('label') || isLabelled(fields)),
    shape: '{"prompt", "completion", "label": true or false}, the first two text or lists of messages',
    parse: (fields) => ({ kind: 'unpaired', ...promptCompletion(fields), label: fields.flag(labelName(fields)) }),
  }),

  'prompt-completion': form({
    ...has('prompt', 'completion'),
    shape: '{"prompt", "completion"}, both text or lists of messages',
    parse: (fields) => ({ kind: 'sft', ...promptCompletion(fields) }),
  }),

  messages: form({
    ...has('messages'),
    shape: '{"messages": [{"role", "content"}, ...]}, for KTO with a label',
    parse: (fields) => labelled(fields, lastAnswer(messagesIn(fields, 'messages'))),
  }),

  text: form({
    ...has('text'),
    shape: '{"text"}, scored as a whole',
    parse: (fields) => ({ kind: 'sft', prompt: '', completion: fields.text('text') }),
  }),
};

export type RowFormName = keyof typeof rowForms;

/** The forms of each kind, the usual ones first. Pairs can be used for the other two kinds as well. */
export const formsOf: Readonly<Record<DataKind, readonly RowFormName[]>> = {
  pairs: ['explicit', 'implicit', 'hh', 'sharegpt', 'alpaca', 'rmb', 'tldr', 'webgpt'],
  unpaired: ['unpaired', 'kto-mix', 'messages', 'sharegpt'],
  sft: ['messages', 'prompt-completion', 'text', 'alpaca', 'sharegpt'],
};

interface Split {
  prompt: string;
  completion: string;
}
type Sides = [Content, Content];

const assistantMessage = (content: string): Message => ({ role: 'assistant', content });
const question = (content: string): Message[] => [{ role: 'user', content }];

const contentOf = (fields: Fields, name: string, isChat: boolean): Content =>
  isChat ? messagesIn(fields, name) : fields.text(name);

function promptCompletion(fields: Fields): { prompt: Content; completion: Content } {
  if (!fields.isList('completion')) return { prompt: fields.text('prompt'), completion: fields.text('completion') };
  const prompt = fields.isText('prompt') ? question(fields.text('prompt')) : messagesIn(fields, 'prompt');
  return { prompt, completion: messagesIn(fields, 'completion') };
}

/** The question of an alpaca row: what was said before, then the instruction and below it the input. */
function alpacaPrompt(fields: Fields): Message[] {
  const history = fields.has('history') ? fields.list('history') : undefined;
  const turns = Array.from({ length: history?.length ?? 0 }, (_, i) => {
    const { items } = history!.items.list(String(i), 2);
    return [...question(items.text('0')), assistantMessage(items.text('1'))];
  });
  const input = fields.has('input') ? fields.text('input') : '';
  const asked = [fields.text('instruction'), ...(input === '' ? [] : [input])].join('\n\n');
  return [...turns.flat(), ...question(asked)];
}

/** A chat up to its last answer, which is the completion. */
function lastAnswer(messages: readonly Message[]): SftContent {
  const at = messages.findLastIndex(({ role }) => role === 'assistant');
  if (at <= 0) return { kind: 'sft', prompt: messages, completion: [], skipped: 'no answer in the chat' };
  const remarks: Remark[] = at < messages.length - 1 ? ['messages after the last answer are left out'] : [];
  return { kind: 'sft', prompt: messages.slice(0, at), completion: messages.slice(at, at + 1), remarks };
}

/** A completion with a label, where the row has one. */
const labelled = (fields: Fields, content: SftContent): RowContent =>
  isLabelled(fields) ? { ...content, kind: 'unpaired', label: fields.flag(labelName(fields)) } : content;

function splitChats(chosen: readonly Message[], rejected: readonly Message[]): RowContent {
  const cut = commonMessages(chosen, rejected);
  const pair = { kind: 'pairs', chosen: chosen.slice(cut), rejected: rejected.slice(cut) } as const;
  return { ...pair, prompt: chosen.slice(0, cut), skipped: cut === 0 ? 'different prompts' : undefined };
}

function transcriptPair(chosen: Split, rejected: Split): RowContent {
  const row = {
    kind: 'pairs',
    prompt: chosen.prompt,
    chosen: chosen.completion,
    rejected: rejected.completion,
  } as const;
  return chosen.prompt === rejected.prompt ? row : { ...row, skipped: 'different prompts' };
}

function refusePrompt(fields: Fields): void {
  if (!fields.includes('prompt')) return;
  throw fields.fault('prompt', 'is given: the first row has none, so no row may; name the format to ignore the field');
}

/**
 * A prompt under another name would be dropped without a word; and what two answers begin with in common would become
 * the prompt.
 */
function refuseOtherPrompt(fields: Fields): void {
  const names = ['question', 'instruction', 'input', 'query', 'context', 'messages', 'conversations'];
  const name = names.find((field) => fields.has(field));
  if (name === undefined) return;
  throw fields.fault(name, 'is not read; did you mean "prompt"? Name the format to ignore the field');
}
