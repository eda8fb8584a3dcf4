import { describe, expect, test } from 'vitest';
import { UserError } from '../errors.js';
import { ChatTemplate, type Message } from '../text/chat-template.js';
import type { Tokenizer } from '../text/tokenizer.js';
import { encodePrompt, encodeRow } from './encode.js';

const tokenizer = {
  encode: (text: string) => [...text].map((character) => character.codePointAt(0)!),
} as unknown as Tokenizer;
const parts = (...texts: string[]): Message => ({
  role: 'assistant',
  content: texts.map((text) => ({ type: 'text', text })),
});

const encoded = (source: string, answer: Message, question: Message = { role: 'user', content: 'q' }) => {
  const template = ChatTemplate.of(`{% for m in messages %}${source}{% endfor %}`);
  return encodeRow({ prompt: [question] }, [[answer]], tokenizer, { template });
};
const each =
  '{% if m.content is string %}{{ m.content }}{% else %}{% for p in m.content %}{{ p.text }};{% endfor %}{% endif %}';
const notTaken = { skipped: 'the chat template does not take content in parts' };

describe('content in parts', () => {
  test.each<[string, string, Message]>([
    ['that is printed as Python has it', '{{ m.content }}', parts('a')],
    ['whose text has quotes', '{{ m.content }}', parts("it's")],
    ['that is printed as JSON', '{{ m.content | tojson }}', parts('a')],
    ['that is printed as JSON in lines', '{{ m.content | tojson(indent=2) }}', parts('a b')],
    ['that is printed part by part', each.replace('p.text', 'p'), parts('a')],
    ['that cannot be joined', "{{ 'x' + m.content }}", parts('a')],
    ['that is left out', '{{ m.content if m.content is string else "" }}.', parts('a')],
    ['that is an empty list', '{{ m.content }}', { ...parts(), tool_calls: [{ function: { name: 'f' } }] }],
  ])('%s is refused', (_name, source, answer) => {
    expect(encoded(source, answer)).toEqual(notTaken);
  });

  test.each<[string, Message]>([
    ['of several parts', parts('a', 'b')],
    ['whose text is a list of Python', parts("[{'type': 'text'}]")],
    ['that is an empty list', { ...parts(), tool_calls: [{ function: { name: 'f' } }] }],
  ])('%s is taken where it is written', (_name, answer) => {
    expect(encoded(`${each}!`, answer)).toMatchObject({ isCleanCut: true });
  });

  test('of a chat that is refused for another reason is not to blame', () => {
    const strict = `${each}{{ raise_exception('no') if m.role == 'assistant' }}`;
    expect(encoded(strict, parts('a'))).toEqual({ skipped: 'the chat template refuses it (no)' });
  });

  test('is refused in a prompt to be answered, too', () => {
    const prompt = (source: string) =>
      encodePrompt({ prompt: [{ ...parts('a'), role: 'user' }] }, tokenizer, {
        template: ChatTemplate.of(`{% for m in messages %}${source}{% endfor %}{{ '!' if add_generation_prompt }}`),
      });
    expect(() => prompt('{{ m.content }}')).toThrow(UserError);
    expect(() => prompt('{{ m.content }}')).toThrow('does not take content in parts');
    expect(String.fromCodePoint(...prompt(each))).toBe('a;!');
  });
});
