// Rows of chats as training and generation take them: with parts, thoughts, tools and documents, in the words of
// several sets, under templates that show them.

import { encodeChat, encodePrompt } from '#reanchor/data/encode.js';
import { encodeRow, loadPrompts, loadRows, sourceRecords } from '#reanchor/data/index.js';
import { ChatTemplate, parseTokenizer, type Tokenizer } from '#reanchor/text/index.js';
import { fixture } from './inputs.js';
import { ofFile, type Reader, refusedOnly } from './reader.js';

let material: { tokenizer: Tokenizer; templates: ChatTemplate[] } | undefined;

/** The fixture's tokenizer, and the templates of the vectors that show tools. */
function chatMaterial() {
  if (material) return material;
  const { templates } = JSON.parse(fixture('jinja/chats.json').toString()) as { templates: { source: string }[] };
  material = {
    tokenizer: parseTokenizer(JSON.parse(fixture('tokenizer/tokenizer.json').toString())),
    templates: templates.filter(({ source }) => source.includes('tools')).map(({ source }) => ChatTemplate.of(source)),
  };
  return material;
}

const now = new Date('2026-01-02T03:04:05');

export const chatReaders: Readonly<Record<string, Reader>> = {
  chats: ofFile('input.jsonl', 6, async (file, _, bytes) => {
    const { tokenizer, templates } = chatMaterial();
    const records = () => sourceRecords([file]);
    // One of them an input: under all of them a long text would take longer than one reader may.
    const template = templates[bytes.length % templates.length]!;
    await refusedOnly(async () => {
      for (const { prompt, chosen, rejected, system, input } of await loadRows('pairs', records(), { name: file }))
        encodeRow({ prompt, system, input }, [chosen, rejected], tokenizer, { template, now });
    });
    for (const row of await loadRows('sft', records(), { name: file })) {
      encodeRow(row, [row.completion], tokenizer, { template, now, findsAnswers: true });
      encodeChat(row, row.completion, tokenizer, { template, now });
    }
  }),
  prompts: {
    ...ofFile('input.jsonl', 3, async (file) => {
      const { tokenizer, templates } = chatMaterial();
      for (const row of await loadPrompts(sourceRecords([file]), { name: file }))
        for (const template of templates)
          await refusedOnly(async () => encodePrompt(row, tokenizer, { template, now }));
    }),
  },
};

const call = {
  id: 'c1',
  type: 'function',
  function: { name: 'weather', arguments: { city: 'Zürich', days: [1, 2.5] } },
};
const tools = [
  {
    type: 'function',
    function: {
      name: 'weather',
      description: 'd',
      parameters: {
        type: 'object',
        properties: { city: { type: 'string' }, days: { type: 'array' } },
        required: ['city'],
      },
    },
  },
];
const asked = [
  { role: 'system', content: [{ type: 'text', text: 'Be brief.' }] },
  { role: 'user', content: [{ type: 'text', text: 'w' }, { text: '?' }] },
  { role: 'assistant', content: null, tool_calls: [call] },
  { role: 'tool', name: 'weather', tool_call_id: 'c1', content: '{"t": 1.0}' },
];
const answer = { role: 'assistant', content: 'Sunny.', reasoning_content: 'because', weight: 1 };
const shareGpt = [
  { from: 'human', value: 'w?' },
  { from: 'function_call', value: '{"name": "weather", "arguments": {"city": "Oslo"}}' },
  { from: 'observation', value: 'sunny' },
  { from: 'gpt', value: 'Sunny.' },
];
const lines = (values: readonly unknown[]) => Buffer.from(values.map((value) => `${JSON.stringify(value)}\n`).join(''));

export const chatInputs: Readonly<Record<string, () => Buffer[]>> = {
  chats: () => [
    lines([
      { messages: [...asked, answer], tools, chat_template_kwargs: { enable_thinking: false } },
      { messages: [asked[1], answer], documents: [{ title: 't', text: 'x' }], system: 's' },
    ]),
    lines([
      { prompt: asked, chosen: [answer], rejected: [{ ...answer, content: 'Rain.' }], tools: JSON.stringify(tools) },
    ]),
    lines([{ prompt: 'w?', chosen: 'a', rejected: 'b' }]),
    lines([{ conversations: shareGpt, tools: JSON.stringify(tools), system: 's' }]),
    lines([{ conversations: shareGpt.slice(0, 1), chosen: shareGpt[3], rejected: { from: 'gpt', value: 'x' } }]),
    lines([{ instruction: 'i', input: 'x', output: 'o', history: [['q', 'a']], system: 's' }]),
  ],
  prompts: () => [
    lines([
      { prompt: asked, tools },
      { messages: asked.slice(0, 2), chat_template_kwargs: '{"a": 1e400}' },
    ]),
    lines([{ prompt: 'w?', system: 's', documents: [] }]),
  ],
};

export const chatWords: Readonly<Record<string, readonly string[]>> = Object.fromEntries(
  Object.keys(chatInputs).map((name) => [
    name,
    [
      '"role":"assistant"',
      '"from":"function_call"',
      '"from":"gpt","value":',
      '"weight":0',
      '"content":[{"type":"image_url"}]',
      '"content":null',
      '"tool_calls":[{}]',
      '"arguments":"{"',
      '"tools":"[1]"',
      '"tools":[null]',
      '"documents":"',
      '"chat_template_kwargs":{"messages":1}',
      '"__proto__":{}',
      '{{ x }}',
    ],
  ]),
);
