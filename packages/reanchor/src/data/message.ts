/** Messages of chats as rows have them: in the words of the chat APIs, or in those of ShareGPT. */
import { exactJsonOf, isRecord } from '../formats/index.js';
import type { ContentPart, Message } from '../text/index.js';
import type { Fields } from './fields.js';
import { numberOf } from './values.js';

/** What ShareGPT and those who write like it call the roles; an `observation` is also a role of some templates. */
const speakers = { human: 'user', gpt: 'assistant', chatgpt: 'assistant' };
const shareGptRoles = { ...speakers, observation: 'tool' };

/** Parts of a message that are no text, by the names that they have. */
const media = /image|audio|video|file/;

/**
 * A message with all its fields: {"role", "content", ...}, or in ShareGPT's words {"from", "value", ...}. `content` is
 * text, a list of parts that are text, or, beside other fields of an assistant's message such as `tool_calls`, null or
 * absent. Errors: those of {@link Fields}, also for images and sound.
 */
export function messageOf(fields: Fields): Message {
  const isShareGpt = fields.has('from') && !fields.has('role');
  const [roleField, contentField] = isShareGpt ? (['from', 'value'] as const) : (['role', 'content'] as const);
  const given = fields.text(roleField);
  if (given === '') throw fields.fault(roleField, 'is empty');
  const isCall = isShareGpt && given === 'function_call';
  const names: Readonly<Record<string, string>> = isShareGpt ? shareGptRoles : speakers;
  const role = isCall ? 'assistant' : Object.hasOwn(names, given) ? names[given]! : given;
  if (role === 'assistant') requireWeights(fields);
  const isSaid = fields.has(contentField);
  const others = Object.entries(fields.all()).filter(([name]) => name !== roleField && name !== contentField);
  const isOptional = role === 'assistant' && !isCall && others.some(([, value]) => isSomething(value));
  const content = isCall ? '' : isSaid || !isOptional ? contentOf(fields, contentField) : null;
  // In the order of the row, which a template that prints a message as a whole shows.
  const renamed = ([name, value]: [string, unknown]) =>
    name === roleField ? ['role', role] : name === contentField ? ['content', content] : [name, value];
  const message = Object.fromEntries(Object.entries(fields.all()).map(renamed)) as Message;
  return isCall ? { ...message, tool_calls: callsIn(fields, contentField) } : message;
}

/** A list of messages in a field: see {@link messageOf}. */
export function messagesIn(fields: Fields, name: string): Message[] {
  const { items, length } = fields.list(name);
  return Array.from({ length }, (_, i) => messageOf(items.object(String(i))));
}

const contentOf = (fields: Fields, name: string) => (fields.isList(name) ? partsOf(fields, name) : fields.text(name));

/** The parts of a content; of each at least its type has to be known to be text, or a thought. */
function partsOf(fields: Fields, name: string): ContentPart[] {
  const { items, length } = fields.list(name);
  return Array.from({ length }, (_, i) => {
    const part = items.object(String(i));
    const type = part.has('type') ? part.text('type') : 'text';
    if (media.test(type)) throw part.fault('type', `is ${JSON.stringify(type.slice(0, 40))}: only text is read`);
    if (type === 'text') part.text('text');
    return part.all() as ContentPart;
  });
}

/** The calls in LLaMA-Factory's message of a call, whose text is {"name", "arguments"} or a list of these. */
function callsIn(fields: Fields, name: string): unknown[] {
  const calls = [exactJsonOf(fields.text(name))].flat();
  if (!calls.every((call) => isRecord(call) && typeof call.name === 'string')) {
    throw fields.fault(name, 'is no call of a function, which is JSON {"name", "arguments"} or a list of these');
  }
  return calls.map((call) => ({ type: 'function', function: call }));
}

const isSomething = (value: unknown) => value !== undefined && value !== null && value !== '';

/** The text of a message's content: that of all its parts. */
export function textOf({ content }: Message): string {
  if (typeof content === 'string') return content;
  return (content ?? []).map((part) => (typeof part.text === 'string' ? part.text : '')).join('');
}

/** What a message says besides its text, and templates may write: the calls of tools, thoughts and the like. */
const saying = ['tool_calls', 'function_call', 'reasoning_content', 'reasoning', 'thinking', 'thoughts'];

/** Whether a message says nothing. */
export function isSilent(message: Message): boolean {
  if (textOf(message).trim() !== '') return false;
  return !saying.some((name) => {
    const value = message[name];
    return Array.isArray(value) ? value.length > 0 : typeof value === 'string' ? value.trim() !== '' : isRecord(value);
  });
}

/**
 * The fields with which an answer says whether it is to be learnt: `weight` (OpenAI, mistral-finetune), `loss`
 * (ms-swift), `train` and `training` (axolotl), `loss_mask` and `step_loss_mask` (slime).
 */
const weights = ['weight', 'loss', 'train', 'training', 'loss_mask', 'step_loss_mask'];

/** Whether an answer is to be learnt: not where one of these fields is 0 or false. */
export const isLearnt = (message: Message): boolean =>
  message.role !== 'assistant' || weights.every((name) => weightOf(message[name]) !== 0);

/** 0 or 1, as a number or a truth value; 1 where nothing is said, undefined for anything else. */
function weightOf(value: unknown): 0 | 1 | undefined {
  if (value === undefined || value === null) return 1;
  const weight = typeof value === 'boolean' ? Number(value) : numberOf(value);
  return weight === 0 || weight === 1 ? weight : undefined;
}

function requireWeights(fields: Fields): void {
  const wrong = weights.find((name) => weightOf(fields.all()[name]) === undefined);
  if (wrong !== undefined) throw fields.fault(wrong, 'says how much an answer counts, and is not 0, 1, true or false');
}
