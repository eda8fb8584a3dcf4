import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { fixtures } from '../../../../tests/support/repository.js';
import { FormatError, UserError } from '../errors.js';
import { builtInTemplates } from './built-in-templates.js';
import { ChatTemplate, loadChatTemplate, modelChatTemplate } from './chat-template.js';
import { chatTokenizer, vectors } from './testing/chat-vectors.js';
import { parseTokenizer, type Tokenizer } from './tokenizer.js';

const folder = mkdtempSync(join(tmpdir(), 'chat-'));
afterAll(() => rmSync(folder, { recursive: true }));

const tokens = { bosToken: '<s>', eosToken: '</s>' };
const chat = [
  { role: 'user', content: 'a' },
  { role: 'assistant', content: 'b' },
];

describe('chats are rendered as transformers renders them', () => {
  test.each(Object.entries(vectors.templates))('%s', (name, source) => {
    const template = ChatTemplate.of(source, tokens);
    const cases = vectors.cases.filter((one) => one.template === name);
    expect(cases.length).toBe(vectors.chats.length);
    for (const one of cases) {
      const messages = vectors.chats[one.chat]!;
      if ('refused' in one) {
        expect(() => template.render(messages)).toThrow(one.refused);
        continue;
      }
      expect(template.render(messages)).toBe(one.text);
      expect(template.render(messages.slice(0, -1), { addGenerationPrompt: true })).toBe(one.prompt_text);
    }
  });

  test('the vectors are those of the built-in templates', () => {
    for (const [name, { source }] of Object.entries(builtInTemplates)) expect(vectors.templates[name]).toBe(source);
  });
});

describe('a template', () => {
  const render = (source: string, options = {}) => ChatTemplate.of(source, tokens).render(chat, options);

  test('knows the day, in English whatever the language of the machine', () => {
    const now = new Date(2024, 1, 3, 4, 5, 6);
    const format = '%d %b %Y, %A %B %m %y, %H:%M:%S 100%%';
    expect(render(`{{ strftime_now('${format}') }}`, { now })).toBe(
      '03 Feb 2024, Saturday February 02 24, 04:05:06 100%',
    );
    expect(render("{{ strftime_now('%Y') }}")).toBe(String(new Date().getFullYear()));
    expect(() => render("{{ strftime_now('%q') }}")).toThrow('strftime_now does not know %q');
  });

  test('of a folder that has another one for tools is that where a chat has tools', () => {
    const named = [
      { name: 'default', template: 'plain' },
      { name: 'tool_use', template: '{{ tools | length }} tools' },
    ];
    const encoded = (text: string) => new TextEncoder().encode(text);
    const files = new Map([
      ['chat_template.jinja', encoded('plain')],
      ['additional_chat_templates/tool_use.jinja', encoded('{{ tools | length }} tools')],
    ]);
    const definition = JSON.parse(readFileSync(join(fixtures, 'tokenizer/tokenizer.json'), 'utf8'));
    const asObject = Object.fromEntries(named.map(({ name, template }) => [name, template]));
    for (const source of [{ config: { chat_template: named } }, { config: { chat_template: asObject } }, { files }]) {
      const template = modelChatTemplate(parseTokenizer(definition, source));
      const texts = [{}, { tools: [] }, { tools: [{ name: 'f' }] }].map((options) => template.render(chat, options));
      expect(texts).toEqual(['plain', '0 tools', '1 tools']);
    }
  });

  test('without special tokens writes nothing for them', () => {
    expect(ChatTemplate.of('[{{ bos_token }}{{ eos_token }}]').render(chat)).toBe('[]');
  });

  test('gets all fields of messages, and what else the row has', () => {
    const template = ChatTemplate.of(
      '{{ messages[0].name }}{{ messages[1].tool_calls[0].function.arguments }}{{ messages[1].content }} ' +
        '{{ tools }} {{ documents }} {{ add_generation_prompt }} {{ enable_thinking is defined }}',
    );
    const messages = [
      { role: 'user', content: [{ type: 'text', text: 'a' }], name: 'bo' },
      { role: 'assistant', content: null, tool_calls: [{ function: { name: 'f', arguments: { x: 1 } } }] },
    ];
    expect(template.render(messages)).toBe("bo{'x': 1}None None None False False");
    const given = {
      tools: [{ a: 1 }],
      documents: [],
      variables: { enable_thinking: false },
      addGenerationPrompt: true,
    };
    expect(template.render(messages, given)).toBe("bo{'x': 1}None [{'a': 1}] [] True True");
  });

  test('knows the special tokens there are, and further variables before them', () => {
    const specialTokens = { bos_token: '<s>', pad_token: '<pad>' };
    const template = ChatTemplate.of('{{ bos_token }}{{ pad_token }}{{ eos_token is defined }}', { specialTokens });
    expect(template.render(chat)).toBe('<s><pad>False');
    expect(template.render(chat, { variables: { pad_token: 1, eos_token: 2 } })).toBe('<s>1True');
    // As in transformers, a tokenizer without BOS gives no empty text to add to.
    expect(() => ChatTemplate.of("{{ bos_token + 'a' }}").render(chat)).toThrow("'bos_token' is undefined");
  });

  test.each(['messages', 'tools', 'chat_template', 'add_generation_prompt', 'tokenize'])(
    'takes no variable %s, which apply_chat_template has for something else',
    (name) => {
      const render = () => ChatTemplate.of('a').render(chat, { variables: { [name]: 1 } });
      expect(render).toThrow(`chat_template_kwargs have no place for ${name}`);
    },
  );

  test('takes objects as tools and documents', () => {
    const template = ChatTemplate.of('{{ tools }}');
    for (const name of ['tools', 'documents']) {
      for (const value of ['text', null, [1]]) {
        expect(() => template.render(chat, { [name]: [value] })).toThrow(`${name} are a list of objects`);
      }
    }
  });

  test('says whether it asks for the day', () => {
    expect(ChatTemplate.of('{% if strftime_now is defined %}{{ date }}{% endif %}').usesDate).toBe(true);
    expect(ChatTemplate.of("{% macro m() %}{{ f(strftime_now('%Y')) }}{% endmacro %}").usesDate).toBe(true);
    expect(ChatTemplate.of("strftime_now {{ 'strftime_now' }}{{ x.strftime_now }}{# strftime_now #}").usesDate).toBe(
      false,
    );
    expect(ChatTemplate.of('{% set strftime_now = 1 %}').usesDate).toBe(false);
  });

  test('that is broken or too long is an error that says what to do', () => {
    expect(() => render('{% for %}')).toThrow(FormatError);
    expect(() => render('{% for %}')).toThrow(
      /not a chat template that can be read .*name another one with data.chatTemplate/,
    );
    expect(() => render('x'.repeat(300_000))).toThrow(/more than 262144 bytes/);
  });

  test('counts as Python does, and not without end', () => {
    const numbers = (range: string) => render(`{% for i in ${range} %}{{ i }} {% endfor %}`);
    expect(numbers('range(3)')).toBe('0 1 2 ');
    expect(numbers('range(1, 8, 3)')).toBe('1 4 7 ');
    expect(numbers('range(3, 0, -1)')).toBe('3 2 1 ');
    expect(numbers('range(3, 1)')).toBe('');
    expect(() => numbers('range(1000000000)')).toThrow('range of more than 100000 numbers');
  });

  test('has no way out of its values', () => {
    for (const source of ["{{ ''.constructor('x') }}", "{{ messages.constructor.constructor('return process')() }}"]) {
      expect(() => render(source)).toThrow();
    }
    expect(render('{{ process is defined }}{{ globalThis is defined }}{{ require is defined }}')).toBe(
      'FalseFalseFalse',
    );
  });
});

describe('the template of a recipe', () => {
  const hello = 'Hi {{ messages[0].content }}';
  const withTemplate = chatTokenizer({ chatTemplate: hello });
  const textOf = async (choice: string, tokenizer = withTemplate) =>
    (await loadChatTemplate(choice, tokenizer)).render(chat);

  test('is built in, of the model, a file or a text', async () => {
    writeFileSync(join(folder, 'mine.jinja'), 'File {{ eos_token }}');
    expect(await textOf('chatml')).toBe('<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\nb<|im_end|>\n');
    expect(await textOf('model')).toBe('Hi a');
    expect(await textOf(join(folder, 'mine.jinja'))).toBe('File </s>');
    expect(await textOf('{{ messages | length }} messages')).toBe('2 messages');
  });

  test.each<[string, string, Tokenizer, RegExp]>([
    [
      'an unknown name',
      'chatmll',
      withTemplate,
      /^chatmll is not a chat template: name one with data.chatTemplate: model, chatml, llama-3, zephyr, alpaca, hh, a .jinja file/,
    ],
    ['a missing file', 'none.jinja', withTemplate, /^none.jinja does not exist/],
    [
      'a model without one',
      'model',
      chatTokenizer(),
      /the model's folder has no chat template .*: name one with data.chatTemplate/,
    ],
    [
      'tokens that the model lacks',
      'llama-3',
      { ...chatTokenizer(), encode: () => [1, 2] } as Tokenizer,
      /no token <\|start_header_id\|>, which chat template llama-3 needs: use zephyr, alpaca, hh or another model/,
    ],
  ])('%s is an error', async (_name, choice, tokenizer, message) => {
    const error = await loadChatTemplate(choice, tokenizer).catch((error: unknown) => error);
    expect(error).toBeInstanceOf(UserError);
    expect((error as Error).message).toMatch(message);
  });

  test('of the model is the one named default where there are several', () => {
    const several = [
      { name: 'tool_use', template: 'tools' },
      { name: 'default', template: hello },
    ];
    expect(modelChatTemplate(chatTokenizer({ chatTemplate: several })).render(chat)).toBe('Hi a');
    expect(() => modelChatTemplate(chatTokenizer({ chatTemplate: several.slice(0, 1) }))).toThrow(UserError);
  });
});
