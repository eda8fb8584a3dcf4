import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { fixtures } from '../../../../tests/support/repository.js';
import { loadModel } from '../models/load.js';
import { Conversation } from './conversation.js';
import { type GenerateOptions, generate } from './generate.js';
import { PrefixCache } from './prefix-cache.js';
import { type Prompt, TextGenerator } from './text-generator.js';

const folder = (name: string) => join(fixtures, 'models', name);
const options = { maxNewTokens: 12, temperature: 0.9, topP: 0.95, seed: 3 };
const silent = { onText: () => {} };

let chat: TextGenerator;
beforeAll(async () => {
  chat = await TextGenerator.load(folder('llama-tiny'), { chatTemplate: 'hh' });
  return () => chat[Symbol.dispose]();
});

/** What `generate` writes to a prompt, without a conversation. */
const written = async (generator: TextGenerator, prompt: Prompt, more: Partial<GenerateOptions> = {}) =>
  (await generator.complete([prompt], { ...options, ...more }))[0]!.text;

/** Has a turn; returns the pieces of the answer, joined. */
async function say(conversation: Conversation, question: string, more: Partial<GenerateOptions> = {}) {
  let text = '';
  const answer = await conversation.ask(question, { ...options, ...more, onText: (piece) => (text += piece) });
  expect(answer.text).toBe(text);
  return text;
}

test('every answer is what generate writes to the same messages, whatever was undone or changed before', async () => {
  using conversation = new Conversation(chat);
  const messages: { role: string; content: string }[] = [];
  for (const question of ['Hello', 'Why?', 'Tell me more of the sea', 'And then']) {
    messages.push({ role: 'user', content: question });
    const expected = await written(chat, messages);
    expect(await say(conversation, question)).toBe(expected);
    if (question === 'Why?') {
      conversation.undo();
      expect(await say(conversation, question)).toBe(expected);
    }
    messages.push({ role: 'assistant', content: expected });
    expect(conversation.row).toEqual({ messages });
  }
  conversation.reset();
  expect(conversation.row).toEqual({ messages: [] });
  expect(await say(conversation, 'Hello')).toBe(messages[1]!.content);
});

test('what a prompt has in common with the text before it is not computed again, and changes nothing', async () => {
  for (const name of ['llama-tiny', 'gpt-neox-parallel', 'llama3-untied', 'qwen3']) {
    using model = await loadModel(folder(name), { dtype: 'float32' });
    using prefixCache = new PrefixCache();
    const ids = Int32Array.from({ length: 40 }, (_, i) => 5 + ((i * 7) % 50));
    const write = async (prompt: Int32Array, more: Partial<GenerateOptions> = {}) =>
      (await generate(model, [prompt], { ...options, ...more }))[0]!;
    const first = await write(ids, { prefixCache });
    const whole = Int32Array.of(...ids, ...first.tokens, 9, 8, 7);
    const asked: number[] = [];
    const hidden = model.hidden.bind(model);
    model.hidden = (batch) => {
      asked.push(batch.tokens_N.shape[0]!);
      return hidden(batch);
    };
    const prompts = [whole, whole, ids.subarray(0, 20), Int32Array.of(...ids.subarray(0, 20), 4), Int32Array.of(3, 4)];
    // The last token that was drawn was computed by nobody.
    const computed = [4, 1, 1, 1, 2];
    for (const [i, prompt] of prompts.entries()) {
      asked.length = 0;
      const again = await write(prompt, { prefixCache });
      expect(asked[0], name).toBe(computed[i]);
      const plain = await write(prompt);
      expect([...again.tokens], name).toEqual([...plain.tokens]);
      for (const [t, logprob] of again.logprobs.entries()) expect(logprob).toBeCloseTo(plain.logprobs[t]!, 4);
    }
    await expect(write(ids, { prefixCache, samples: 2 })).rejects.toThrow(/prefixCache serves one completion/);
  }
});

test('an answer that is stopped is a turn with what was written of it, and the next one goes on after it', async () => {
  using conversation = new Conversation(chat);
  await say(conversation, 'Hello');
  const stop = new AbortController();
  let pieces = '';
  const answer = await conversation.ask('Why?', {
    ...options,
    signal: stop.signal,
    onText(piece) {
      pieces += piece;
      if (pieces.length > 5) stop.abort(new Error('enough'));
    },
  });
  expect(answer).toMatchObject({ finish: 'stopped', text: pieces });
  const { messages } = conversation.row as { messages: { content: string }[] };
  expect(messages.map(({ content }) => content).slice(2)).toEqual(['Why?', pieces]);
  const expected = await written(chat, [...messages, { role: 'user', content: 'And?' }] as Prompt);
  expect(await say(conversation, 'And?')).toBe(expected);
  // Stopped before its first piece it is no turn.
  const early = await conversation.ask('Never', { ...options, ...silent, signal: AbortSignal.abort('now') });
  expect(early).toMatchObject({ finish: 'stopped', text: '' });
  expect(conversation.turns).toBe(3);
});

test('the oldest turns are left out where the model was made for no more, and the system message stays', async () => {
  using conversation = new Conversation(chat);
  conversation.setSystem('Be brief.');
  const notes: string[] = [];
  const more = { maxNewTokens: 40, onNote: (note: string) => notes.push(note) };
  const question = 'What is the name of the sea that lies between the two of them?';
  for (let turn = 0; turn < 6; turn++) await say(conversation, question, more);
  expect(notes[0]).toBe(
    'the conversation is too long for the 256 tokens that the model was made for: the oldest turn is left out of what it sees, the system message is not; it stays in what is saved',
  );
  const { messages } = conversation.row as { messages: { role: string; content: string }[] };
  expect(messages).toHaveLength(13);
  const leftOut = Number(/oldest (\d+) turns/.exec(notes.at(-1)!)?.[1] ?? 1);
  const seen = [messages[0]!, ...messages.slice(1 + 2 * leftOut, -1)];
  expect(await written(chat, seen, { maxNewTokens: 40 })).toBe(messages.at(-1)!.content);
  // The next one more would not have fitted.
  const wider = [messages[0]!, ...messages.slice(2 * leftOut - 1, -1)];
  expect(chat.encode(wider).length + 40).toBeGreaterThan(256);

  const long = await conversation.ask('x '.repeat(80), { ...options, ...silent, maxNewTokens: 1000 });
  expect(long.limit).toBeLessThan(256);
  await expect(conversation.ask('x '.repeat(300), { ...options, ...silent })).rejects.toThrow(
    /^this has \d+ tokens by itself, and the model was made for 256 .*: shorten it$/,
  );
  expect(conversation.turns).toBe(7);
});

test('without a chat template the lines and what is written after them are one text', async () => {
  using plain = await TextGenerator.load(folder('llama-tiny'));
  using conversation = new Conversation(plain);
  const first = await say(conversation, 'Once upon a time');
  expect(first).toBe(await written(plain, 'Once upon a time'));
  const text = `Once upon a time${first}\nThe end`;
  expect(await say(conversation, 'The end')).toBe(await written(plain, text));
  expect((conversation.row as { text: string }).text.startsWith(text)).toBe(true);
  expect(() => conversation.setSystem('Be brief.')).toThrow(
    /^without a chat template .* no place for a system message: choose a template/,
  );
});

test('a system message that the template does not write is refused, and so is undoing nothing', async () => {
  using deaf = await TextGenerator.load(folder('llama-tiny'), {
    chatTemplate: "{% for m in messages if m.role != 'system' %}[{{ m.content }}]{% endfor %}",
  });
  using conversation = new Conversation(deaf);
  expect(() => conversation.setSystem('Be brief.')).toThrow(/the chat template writes no system messages/);
  conversation.setSystem('');
  expect(() => conversation.undo()).toThrow(/no turn to take back/);
});
