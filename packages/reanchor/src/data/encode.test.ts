import { describe, expect, test } from 'vitest';
import { UserError } from '../errors.js';
import { ChatTemplate, loadChatTemplate } from '../text/chat-template.js';
import { chatTokenizer, vectors } from '../text/testing/chat-vectors.js';
import { type Encoded, type EncodedChat, encodeChat, encodeRow } from './encode.js';

const tokenizer = chatTokenizer();
const addsBos = chatTokenizer({ bos: true });
const templateOf = (source: string) => ChatTemplate.of(source, { bosToken: '<s>', eosToken: '</s>' });
const user = (content: string) => ({ role: 'user', content });
const assistant = (content: string) => ({ role: 'assistant', content });

describe('a chat has the ids of transformers', () => {
  test.each(Object.entries(vectors.templates))('%s', (name, source) => {
    const template = templateOf(source);
    for (const one of vectors.cases.filter((one) => one.template === name)) {
      const messages = vectors.chats[one.chat]!;
      const encoded = encodeRow(messages.slice(0, -1), [messages.slice(-1)], tokenizer, template);
      if ('refused' in one) {
        expect(encoded).toEqual({ skipped: `the chat template refuses it (${one.refused})` });
        continue;
      }
      if (!one.text.startsWith(one.prompt_text)) {
        expect(encoded).toEqual({ skipped: 'the chat template changes the prompt when an answer follows' });
        continue;
      }
      const { prompt, completions, isCleanCut } = encoded as Encoded;
      expect(prompt).toEqual(one.prompt_ids);
      expect([...prompt, ...completions[0]!]).toEqual(one.ids);
      expect(isCleanCut).toBe(true);
    }
  });

  test('and those of the answers are where its template marks them', () => {
    const marked = vectors.cases.flatMap((one) => ('assistant_mask' in one ? [one] : []));
    expect(marked.length).toBe(vectors.chats.length);
    for (const { template, chat, ids, assistant_mask: mask } of marked) {
      const source = vectors.templates[template]!;
      const encoded = encodeChat(vectors.chats[chat]!, templateOf(source), tokenizer) as EncodedChat;
      expect(encoded.ids).toEqual(ids);
      const ours = ids.map((_, i) => (encoded.answers.some(({ start, end }) => start <= i && i < end) ? 1 : 0));
      expect(ours).toEqual(mask);
    }
  });
});

describe('BOS', () => {
  const messages = [user('a')];
  const startOf = (given: typeof tokenizer, source: string) =>
    (encodeRow(messages, [[assistant('b')]], given, templateOf(source)) as Encoded).prompt.filter((id) => id === 1);
  const plain = '{% for m in messages %}[{{ m.content }}]{% endfor %}';

  test('is there once, of the template or else of the tokenizer', () => {
    expect(startOf(addsBos, `<s>${plain}`)).toEqual([1]);
    expect(startOf(addsBos, plain)).toEqual([1]);
    expect(startOf(tokenizer, `{{ bos_token }}${plain}`)).toEqual([1]);
    expect(startOf(tokenizer, plain)).toEqual([]);
  });

  test('is not doubled in plain text that spells it out', () => {
    const { prompt, numStart } = encodeRow('<s>a', ['b'], addsBos) as Encoded;
    expect(prompt.filter((id) => id === 1)).toEqual([1]);
    expect(numStart).toBe(1);
  });

  test('twice at the start is a mistake of the template', () => {
    const skipped = { skipped: 'two BOS tokens at the start' };
    const template = templateOf(`{{ bos_token }}<s>${plain}`);
    expect(encodeRow(messages, [[assistant('b')]], tokenizer, template)).toEqual(skipped);
    expect(encodeChat([...messages, assistant('b')], template, tokenizer)).toEqual(skipped);
  });

  test('and EOS that a tokenizer adds to every text is not added to chats', () => {
    const addsBoth = {
      ...addsBos,
      encode: (text: string, options?: { addSpecialTokens?: boolean | undefined }) => [
        ...addsBos.encode(text, options),
        ...(options?.addSpecialTokens === false ? [] : [2]),
      ],
    };
    const encoded = encodeRow(messages, [[assistant('b')]], addsBoth, templateOf(plain)) as Encoded;
    expect(encoded).toEqual(encodeRow(messages, [[assistant('b')]], addsBos, templateOf(plain)));
  });
});

describe('a template for rows of plain text', () => {
  const idsOf = async (name: string, prompt: string, completion: string) => {
    const { prompt: start, completions } = encodeRow(
      prompt,
      [completion],
      tokenizer,
      await loadChatTemplate(name, tokenizer),
    ) as Encoded;
    return tokenizer.decode([...start, -1, ...completions[0]!]);
  };

  test('makes a prompt the message of a user, without white space at its ends', async () => {
    expect(await idsOf('chatml', 'q ', ' a')).toBe(
      '<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\na<|im_end|>\n',
    );
  });

  test('makes a transcript a chat of several turns', async () => {
    const prompt = '\n\nHuman: one\n\nAssistant: two\n\nHuman: three\n\nAssistant:';
    expect(await idsOf('zephyr', prompt, ' four')).toBe(
      '<|user|>\none</s>\n<|assistant|>\ntwo</s>\n<|user|>\nthree</s>\n<|assistant|>\nfour</s>\n',
    );
    expect(await idsOf('hh', prompt, ' four')).toBe(
      '\n\nHuman: one\n\nAssistant: two</s>\n\nHuman: three\n\nAssistant: four</s>',
    );
  });
});

test('a whole text has nothing to make a chat of', () => {
  const template = templateOf(vectors.templates.chatml!);
  expect(encodeRow('', ['text'], tokenizer, template)).toEqual({ skipped: 'no prompt for the chat template' });
});

test('chats without a template are an error that names the choices', () => {
  const encode = () => encodeRow([user('a')], [[assistant('b')]], tokenizer);
  expect(encode).toThrow(UserError);
  expect(encode).toThrow(/the rows are chats, and the model's folder has no chat template .*chatml, llama-3, zephyr/);
});

test('an answer without text is skipped, and so is one that is no answer', () => {
  const template = templateOf(vectors.templates.chatml!);
  for (const completion of [[], [assistant(' \n')], [user('a')]]) {
    expect(encodeRow([user('a')], [completion], tokenizer, template)).toEqual({ skipped: 'empty completion' });
  }
});
