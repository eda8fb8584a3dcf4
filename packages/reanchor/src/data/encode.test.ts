import { describe, expect, test } from 'vitest';
import { UserError } from '../errors.js';
import { ChatTemplate, loadChatTemplate, type Message } from '../text/chat-template.js';
import { chatTokenizer, vectors } from '../text/testing/chat-vectors.js';
import { type Encoded, type EncodedChat, encodeChat, encodeRow } from './encode.js';
import type { PromptText } from './row.js';

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
      const encoded = encodeRow({ prompt: messages.slice(0, -1) }, [messages.slice(-1)], tokenizer, { template });
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
      expect([...prompt, ...completions[0]!.ids]).toEqual(one.ids);
      expect(isCleanCut).toBe(true);
    }
  });

  test('and those of the answers are where its template marks them', () => {
    const marked = vectors.cases.flatMap((one) => ('assistant_mask' in one ? [one] : []));
    expect(marked.length).toBe(vectors.chats.length);
    for (const { template, chat, ids, assistant_mask: mask } of marked) {
      const source = vectors.templates[template]!;
      const encoded = encodeChat({ prompt: [] }, vectors.chats[chat]!, tokenizer, {
        template: templateOf(source),
      }) as EncodedChat;
      expect(encoded.ids).toEqual(ids);
      const ours = ids.map((_, i) => (encoded.answers.some(({ start, end }) => start <= i && i < end) ? 1 : 0));
      expect(ours).toEqual(mask);
    }
  });
});

describe('BOS', () => {
  const row = { prompt: [user('a')] };
  const encoded = (given: typeof tokenizer, source: string) =>
    encodeRow(row, [[assistant('b')]], given, { template: templateOf(source) });
  const plain = '{% for m in messages %}[{{ m.content }}]{% endfor %}';

  test('is in a chat where the template writes it, whatever the tokenizer adds to plain text (TRL)', () => {
    const startOf = (given: typeof tokenizer, source: string) =>
      (encoded(given, source) as Encoded).prompt.filter((id) => id === 1);
    for (const given of [tokenizer, addsBos]) {
      expect(startOf(given, `<s>${plain}`)).toEqual([1]);
      expect(startOf(given, `{{ bos_token }}${plain}`)).toEqual([1]);
      expect(startOf(given, plain)).toEqual([]);
    }
  });

  test('is not doubled in plain text that spells it out', () => {
    const { prompt, numStart } = encodeRow({ prompt: '<s>a' }, ['b'], addsBos) as Encoded;
    expect(prompt.filter((id) => id === 1)).toEqual([1]);
    expect(numStart).toBe(1);
  });

  test('twice at the start is a mistake of the template', () => {
    const skipped = { skipped: 'two BOS tokens at the start' };
    const source = `{{ bos_token }}<s>${plain}`;
    expect(encoded(tokenizer, source)).toEqual(skipped);
    expect(encodeChat(row, [assistant('b')], tokenizer, { template: templateOf(source) })).toEqual(skipped);
  });

  test('and EOS that a tokenizer adds to every text are not added to chats', () => {
    const addsBoth = {
      ...addsBos,
      encode: (text: string, options?: { addSpecialTokens?: boolean | undefined }) => [
        ...addsBos.encode(text, options),
        ...(options?.addSpecialTokens === false ? [] : [2]),
      ],
    };
    expect(encoded(addsBoth, plain)).toEqual(encoded(tokenizer, plain));
  });
});

describe('a template for rows of plain text', () => {
  const idsOf = async (name: string, prompt: string, completion: string) => {
    const template = await loadChatTemplate(name, tokenizer);
    const { prompt: start, completions } = encodeRow({ prompt }, [completion], tokenizer, { template }) as Encoded;
    return tokenizer.decode([...start, -1, ...completions[0]!.ids]);
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
  expect(encodeRow({ prompt: '' }, ['text'], tokenizer, { template })).toEqual({
    skipped: 'no prompt for the chat template',
  });
});

test('chats without a template are an error that names the choices', () => {
  const encode = () => encodeRow({ prompt: [user('a')] }, [[assistant('b')]], tokenizer);
  expect(encode).toThrow(UserError);
  expect(encode).toThrow(/the rows are chats, and the model's folder has no chat template .*chatml, llama-3, zephyr/);
});

test('an answer without text is skipped, and so is one that is no answer', () => {
  const template = templateOf(vectors.templates.chatml!);
  for (const completion of [[], [assistant(' \n')], [user('a')]]) {
    const encoded = encodeRow({ prompt: [user('a')] }, [completion], tokenizer, { template });
    expect(encoded).toEqual({ skipped: 'empty completion' });
  }
});

describe('what a message says besides its text reaches the template', () => {
  const template = templateOf(
    "{% if tools %}{{ tools | tojson }}{% endif %}{% if documents %}{{ documents[0].text }}{% endif %}{% for m in messages %}[{{ m.role }}|{{ m.reasoning_content or '' }}|{{ m.content or '' }}{% for c in m.tool_calls or [] %}({{ c.function.name }}){% endfor %}]{% endfor %}{{ mood or '' }}",
  );
  const text = (row: PromptText, completion: Message[]) => {
    const { prompt, completions } = encodeRow(row, [completion], tokenizer, { template }) as Encoded;
    return tokenizer.decode([...prompt, ...completions[0]!.ids]);
  };
  const call = { type: 'function', function: { name: 'f', arguments: {} } };

  test('tools, documents and variables of the row; thoughts and calls of its messages', () => {
    const input = { tools: [{ name: 't' }], documents: [{ text: 'D' }] };
    const answer = { role: 'assistant', content: null, reasoning_content: 'r', tool_calls: [call] };
    expect(text({ prompt: [user('q')], input }, [answer])).toBe('[{"name": "t"}]D[user||q][assistant|r|(f)]');
  });

  test('a system column is the first message, unless the chat begins with one', () => {
    expect(text({ prompt: 'q', system: 's' }, [assistant('a')])).toBe('[system||s][user||q][assistant||a]');
    const own = [{ role: 'system', content: 'own' }, user('q')];
    expect(text({ prompt: own, system: 's' }, [assistant('a')])).toBe('[system||own][user||q][assistant||a]');
  });
});

describe('an answer behind more than a whole chat has there', () => {
  const source = (extra: string) =>
    `{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}{% if add_generation_prompt %}<assistant>${extra}{% endif %}`;
  const encoded = (extra: string, answer = 'a') =>
    encodeRow({ prompt: [user('q')] }, [[assistant(answer)]], tokenizer, { template: templateOf(source(extra)) });

  test('an empty thought stays in the prompt', () => {
    const { prompt, completions } = encoded('<think></think>') as Encoded;
    expect([prompt, completions[0]!.ids].map((ids) => tokenizer.decode(ids))).toEqual([
      '<user>q<assistant><think></think>',
      'a',
    ]);
  });

  test.each(['<think>', 'analysis<|message|>'])('what is left open is no start of an answer: %s', (extra) => {
    expect(encoded(extra)).toEqual({
      skipped: 'the chat template changes the prompt when an answer follows',
    });
  });
});

test('where a chat repeats its prompt in the answer, that is said and not what the template made of it', () => {
  const strict = templateOf(
    "{% for m in messages %}{% if loop.index0 and m.role == messages[loop.index0 - 1].role %}{{ raise_exception('roles') }}{% endif %}{{ m.content }}{% endfor %}",
  );
  const encoded = encodeRow({ prompt: [user('q')] }, [[user('q'), assistant('a')]], tokenizer, { template: strict });
  expect(encoded).toEqual({ skipped: 'the answers begin with the whole prompt, which then stands twice' });
});
