import { describe, expect, test } from 'vitest';
import { ChatTemplate, type Message } from '../text/chat-template.js';
import type { Tokenizer } from '../text/tokenizer.js';
import { type Encoded, type EncodedChat, encodeChat, encodeRow } from './encode.js';
import type { TextRow } from './row.js';
import { tokenizeText } from './tokenize.js';

/** A token a character. */
const tokenizer = {
  encode: (text: string) => [...text].map((character) => character.codePointAt(0)!),
} as unknown as Tokenizer;
const textOf = (ids: readonly number[]) => String.fromCodePoint(...ids);

const user = (content: string): Message => ({ role: 'user', content });
const assistant = (content: string, more = {}): Message => ({ role: 'assistant', content, ...more });
const call = { tool_calls: [{ type: 'function', function: { name: 'f' } }] };
const tool = { role: 'tool', content: '5' };

const templates = {
  /** Thoughts stand in the last answer alone; a chat without messages is refused; as Qwen3's. */
  thoughts: `{{ '' if messages[0].role }}{% for m in messages %}<{{ m.role }}>{% if m.role == 'assistant' and loop.last %}<think>{{ m.reasoning_content or '' }}</think>{% endif %}{{ m.content or '' }}{% for c in m.tool_calls or [] %}[{{ c.function.name }}]{% endfor %}<end>{% endfor %}{% if add_generation_prompt %}<assistant>{% if think is false %}<think></think>{% endif %}{% endif %}`,
  /** The last answer ends otherwise than others; as that of gpt-oss. */
  ends: "{% for m in messages %}<|start|>{{ m.role }}<|message|>{{ m.content }}{% if loop.last and m.role == 'assistant' and not add_generation_prompt %}<|return|>{% else %}<|end|>{% endif %}{% endfor %}{% if add_generation_prompt %}<|start|>assistant<|message|>{% endif %}",
  /** A chat ends in EOS, unless an answer is to follow; as Phi-3's. */
  eos: '{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}{% if add_generation_prompt %}<|assistant|>{% else %}</s>{% endif %}',
  /** The generation prompt has an empty thought that no chat has. */
  extra:
    '{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}{% if add_generation_prompt %}<assistant><think></think>{% endif %}',
};

const encoded = (name: keyof typeof templates, chat: readonly Message[], variables = {}) => {
  const template = ChatTemplate.of(templates[name]);
  const row = { prompt: chat.slice(0, -1), input: { variables } };
  return encodeChat(row, chat.slice(-1), tokenizer, { template }) as EncodedChat;
};
const answersOf = (...given: Parameters<typeof encoded>) => {
  const { ids, answers } = encoded(...given);
  return answers.map(({ start, end }) => textOf(ids.slice(start, end)));
};

describe('the answers of a chat', () => {
  test.each<[string, Parameters<typeof encoded>, string[]]>([
    [
      'whose thoughts only the last one shows',
      ['thoughts', [user('q'), assistant('a', { reasoning_content: 'r' }), user('q'), assistant('b')]],
      ['a<end>', '<think></think>b<end>'],
    ],
    [
      'that stand in other answers again',
      ['thoughts', [user('a'), assistant('a'), user('a'), assistant('<think></think>a')]],
      ['a<end>', '<think></think><think></think>a<end>'],
    ],
    [
      'behind an empty thought',
      ['thoughts', [user('q'), assistant('a'), user('q'), assistant('b')], { think: false }],
      ['a<end>', 'b<end>'],
    ],
    [
      'that are calls of tools',
      ['thoughts', [user('q'), assistant('', call), tool, assistant('b')]],
      ['[f]<end>', '<think></think>b<end>'],
    ],
    [
      'that begins with one',
      ['thoughts', [assistant('hello'), user('q'), assistant('b')]],
      ['hello<end>', '<think></think>b<end>'],
    ],
    [
      'of which the last ends otherwise',
      ['ends', [user('q'), assistant('a'), user('q'), assistant('b')]],
      ['a<|end|>', 'b<|return|>'],
    ],
    ['that ends in EOS', ['eos', [user('q'), assistant('a'), user('q'), assistant('b')]], ['a<|end|>', 'b<|end|></s>']],
    [
      'whose generation prompt has more than the chat',
      ['extra', [user('q'), assistant('a'), user('q'), assistant('b')]],
      ['a', 'b'],
    ],
  ])('%s', (_name, given, expected) => {
    expect(answersOf(...given)).toEqual(expected);
  });

  test('stand in the text that has the last one behind its prompt', () => {
    const chat = [user('q'), assistant('a'), user('q'), assistant('b')];
    const template = ChatTemplate.of(templates.extra);
    const { prompt, completions } = encodeRow({ prompt: chat.slice(0, 3) }, [chat.slice(3)], tokenizer, {
      template,
    }) as Encoded;
    const text = '<user>q<assistant>a<user>q<assistant><think></think>b';
    expect(textOf([...prompt, ...completions[0]!.ids])).toBe(text);
    expect(textOf(encoded('extra', chat).ids)).toBe(text);
  });

  test('of several turns behind a prompt are found, and one of weight 0 is masked', () => {
    const template = ChatTemplate.of(templates.thoughts);
    const turns = [assistant('a', { weight: 0 }), user('q'), assistant('b')];
    const { completions } = encodeRow({ prompt: [user('q')] }, [turns], tokenizer, { template }) as Encoded;
    const [{ ids, answers }] = completions as [Encoded['completions'][0]];
    expect(answers!.map(({ start, end, isLearnt }) => [textOf(ids.slice(start, end)), isLearnt])).toEqual([
      ['a<end>', false],
      ['<think></think>b<end>', true],
    ]);
  });

  test('cannot be found where a template writes each of its own number', () => {
    const template = ChatTemplate.of(
      '{% for m in messages %}{{ messages | length }}{% endfor %}{{ "?" if add_generation_prompt }}',
    );
    const chat = [user('q'), assistant('a'), user('q')];
    expect(encodeChat({ prompt: [] }, [...chat, assistant('b')], tokenizer, { template })).toEqual({
      skipped: 'the chat template does not show where an answer begins or ends',
    });
  });
});

describe('a whole chat (data.loss: full)', () => {
  const scored = (name: keyof typeof templates, chat: readonly Message[]) => {
    const row: TextRow = {
      ...{ index: 0, line: 1, file: 'f' },
      prompt: chat.slice(0, -1),
      completion: chat.slice(-1),
    };
    const chatTemplate = ChatTemplate.of(templates[name]);
    const text = tokenizeText(row, tokenizer, { maxLength: 999, chatTemplate, loss: 'full' });
    if ('skipped' in text) return text.skipped;
    return textOf([...text.prompt, ...text.completion].map((id, i) => (text.scored?.[i] === 0 ? 46 : id)));
  };

  test('has none of its answers scored that is not to be learnt, wherever it stands', () => {
    const chat = [user('q'), assistant('aa', { weight: 0 }), user('q'), assistant('b')];
    expect(scored('thoughts', chat)).toBe('<user>q<end><assistant>.......<user>q<end><assistant><think></think>b<end>');
  });

  test('is the text that the template makes of it, whatever it makes of its prompt (TRL)', () => {
    const chat = [user('q'), assistant('a'), user('q'), assistant('b')];
    expect(scored('extra', chat)).toBe('<user>q<assistant>a<user>q<assistant>b');
  });
});
