// What a run leaves is whole: others go on from it, stop where it does, and find nothing in it that is not so.
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { train } from '#reanchor/driver/index.js';
import { TextGenerator } from '#reanchor/generate/index.js';
import { parseRecipe } from '#reanchor/recipe/index.js';
import type { RunEvent } from '#reanchor/runs/index.js';
import { builtInTemplates } from '#reanchor/text/built-in-templates.js';
import { fixtures } from '../support/repository.js';
import { tinyModel } from '../support/training.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'reanchor-final-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const plain = { bos_token: '<s>', eos_token: '</s>' };
/** `</s>` is 2, `<|im_end|>` is 4, of 512. */
type Files = Record<string, object | string | undefined>;

/** A model with `<|im_start|>` and `<|im_end|>` among its tokens, and these files, or changes of those that it has. */
function model(files: Files = {}): string {
  const place = join(folder, 'model');
  mkdirSync(place);
  cpSync(join(tinyModel, 'model.safetensors'), join(place, 'model.safetensors'));
  cpSync(join(fixtures, 'tokenizer-configs/base-gpt2.json'), join(place, 'tokenizer.json'));
  const config = JSON.parse(readFileSync(join(tinyModel, 'config.json'), 'utf8')) as object;
  const all: Files = {
    'tokenizer_config.json': plain,
    ...files,
    'config.json': { ...config, ...(files['config.json'] as object) },
  };
  for (const [path, value] of Object.entries(all)) {
    if (value === undefined) continue;
    mkdirSync(join(place, path, '..'), { recursive: true });
    writeFileSync(join(place, path), typeof value === 'string' ? value : JSON.stringify(value));
  }
  return place;
}

const words = ['red', 'blue', 'tea', 'sky'];
function rows(isChat: boolean): string {
  const file = join(folder, 'rows.jsonl');
  const lines = words.map((word) => {
    const [prompt, completion] = [word, word.toUpperCase()];
    const chat = [[{ role: 'user', content: prompt }], [{ role: 'assistant', content: completion }]];
    return isChat ? { prompt: chat[0], completion: chat[1] } : { prompt: `${prompt} `, completion };
  });
  writeFileSync(file, lines.map((line) => JSON.stringify(line)).join('\n'));
  return file;
}

interface TrainedOptions {
  isChat?: boolean;
  set?: string[];
  resume?: boolean;
  onEvent?: (event: RunEvent) => void;
}

async function trained(source: string, { isChat = true, set = [], ...options }: TrainedOptions = {}): Promise<string> {
  const text = `{ model: ${source}, method: sft, data: { train: ${rows(isChat)} }, batch: { size: 4 }, steps: 1 }`;
  const recipe = parseRecipe(text, { file: 'test.yaml', set, env: {} });
  return (await train({ recipe, out: join(folder, 'run'), command: [], ...options })).final;
}

const read = (...path: string[]) => readFileSync(join(...path), 'utf8');
const json = (...path: string[]) => JSON.parse(read(...path)) as Record<string, unknown>;
const chatml = 'data.chatTemplate=chatml';

describe('the tokens that end an answer', () => {
  test('are EOS, those that were there and what the template writes, in both configs', async () => {
    const final = await trained(
      model({ 'generation_config.json': { eos_token_id: 3, temperature: 0.6, _from_model_config: true } }),
      { set: [chatml] },
    );
    expect(json(final, 'generation_config.json')).toEqual({
      bos_token_id: 1,
      eos_token_id: [2, 3, 4],
      temperature: 0.6,
    });
    expect(json(final, 'config.json').eos_token_id).toEqual([2, 3, 4]);
    expect(json(final, 'tokenizer_config.json')).toEqual(plain);
  });

  test('are EOS alone for texts', async () => {
    const final = await trained(model(), { isChat: false });
    expect(json(final, 'generation_config.json')).toEqual({ bos_token_id: 1, eos_token_id: 2 });
    expect(existsSync(join(final, 'chat_template.jinja'))).toBe(false);
  });

  test('are found behind white space, which ends nothing', async () => {
    const spaced = "{% for m in messages %}{{ m.content + ' \\n <|im_end|> ' }}{% endfor %}";
    const final = await trained(model(), { set: [`data.chatTemplate=${JSON.stringify(spaced)}`] });
    expect(json(final, 'generation_config.json').eos_token_id).toEqual([2, 4]);
  });

  test('of text that is no special token are none', async () => {
    const worded = "{% for m in messages %}{{ m.content + '\\n### ' }}{% endfor %}";
    const final = await trained(model(), { set: [`data.chatTemplate=${JSON.stringify(worded)}`] });
    expect(json(final, 'generation_config.json').eos_token_id).toBe(2);
  });

  test('stop the model where it was taught to, with what the folder says alone', async () => {
    const set = [chatml, 'steps=120', 'optimizer.lr=0.01'];
    const final = await trained(model({ 'generation_config.json': { eos_token_id: 2 } }), { set });
    using generator = await TextGenerator.load(final);
    const prompts = words.map((content) => [{ role: 'user', content }]);
    const answers = await generator.complete(prompts, { maxNewTokens: 12, temperature: 0 });
    expect(answers.map(({ text, finish }) => [text, finish])).toEqual(
      words.map((word) => [word.toUpperCase(), 'stop']),
    );
  });
});

describe('the chat template', () => {
  const named = [
    { name: 'default', template: "{% for m in messages %}{{ m.content + '<|im_end|>' }}{% endfor %}" },
    { name: 'tool_use', template: '{{ tools }}' },
  ];
  const own = {
    'tokenizer_config.json': { ...plain, chat_template: named, model_max_length: 1e30 },
    'chat_template.json': { chat_template: 'of a processor' },
    'additional_chat_templates/rag.jinja': '{{ documents }}',
  };

  test('is the one of the training, and no other one beside it', async () => {
    const final = await trained(model(own), { set: [chatml] });
    expect(read(final, 'chat_template.jinja')).toBe(builtInTemplates.chatml.source);
    const text = read(final, 'tokenizer_config.json');
    expect(JSON.parse(text)).toEqual({ ...plain, model_max_length: 1e30 });
    // As transformers writes it; 1e30 would be no integer.
    expect(text).toContain('"model_max_length": 1000000000000000019884624838656\n');
    expect(readdirSync(final).filter((name) => /template/.test(name))).toEqual(['chat_template.jinja']);
  });

  test.each([[[]], [['data.chatTemplate=model']]])("stays the model's own, with those beside it: %j", async (set) => {
    const source = model(own);
    const final = await trained(source, { set });
    for (const file of Object.keys(own)) expect(read(final, file)).toBe(read(source, file));
    expect(existsSync(join(final, 'chat_template.jinja'))).toBe(false);
    expect(json(final, 'generation_config.json').eos_token_id).toEqual([2, 4]);
  });

  test('is that of a file as it was when the run began', async () => {
    const file = join(folder, 'my.jinja');
    const before = "{% for m in messages %}{{ m.content + '<|im_end|>' }}{% endfor %}";
    writeFileSync(file, before);
    const onEvent = ({ type }: RunEvent) => type === 'step' && writeFileSync(file, 'other');
    const final = await trained(model({ 'chat_template.jinja': 'old' }), {
      set: [`data.chatTemplate=${file}`],
      onEvent,
    });
    expect([read(file), read(final, 'chat_template.jinja')]).toEqual(['other', before]);
  });
});

describe('config.json', () => {
  test('says nothing of another folder', async () => {
    const untrue = {
      quantization_config: { quant_method: 'bitsandbytes', load_in_4bit: true },
      compression_config: {},
      _pre_quantization_dtype: 'float16',
      auto_map: { AutoModelForCausalLM: 'modeling_x.X' },
      _name_or_path: '/home/me/model',
      transformers_weights: 'other.safetensors',
      pretraining_tp: 2,
      architectures: ['LlamaModel'],
      torch_dtype: 'float16',
      dtype: 'bfloat16',
    };
    const warnings: string[] = [];
    const onEvent = (event: RunEvent) => event.type === 'warning' && warnings.push(event.message);
    const source = model({
      'config.json': untrue,
      'tokenizer_config.json': { ...plain, auto_map: { AutoTokenizer: ['x.X', null] } },
    });
    const final = await trained(source, { isChat: false, onEvent });
    const { quantization_config, compression_config, _pre_quantization_dtype, auto_map, _name_or_path, ...kept } = json(
      source,
      'config.json',
    );
    const { transformers_weights, pretraining_tp, dtype, ...rest } = kept;
    const changed = { architectures: ['LlamaForCausalLM'], torch_dtype: 'float32', eos_token_id: 2 };
    expect(json(final, 'config.json')).toEqual({ ...rest, ...changed });
    expect(json(final, 'tokenizer_config.json')).toEqual(plain);
    expect(warnings).toContain(
      'config.json of the model has a quantization_config ("bitsandbytes"), and its weights are not quantised: ' +
        'it is not heeded, and a model that is saved has none',
    );
  });
});

describe('files that the model lacks, or that are of no use', () => {
  test('generation_config.json is made, of what config.json says of generation too', async () => {
    const final = await trained(model({ 'config.json': { temperature: 0.5, max_length: 33, pad_token_id: 0 } }), {
      set: [chatml],
    });
    expect(json(final, 'generation_config.json')).toEqual({
      ...{ bos_token_id: 1, pad_token_id: 0, temperature: 0.5, max_length: 33 },
      eos_token_id: [2, 4],
    });
  });

  test('without tokenizer_config.json the template ends answers', async () => {
    const source = model({ 'tokenizer_config.json': undefined, 'config.json': { bos_token_id: null } });
    const final = await trained(source, { set: [chatml] });
    expect(json(final, 'generation_config.json')).toEqual({ eos_token_id: 4 });
    expect(existsSync(join(final, 'tokenizer_config.json'))).toBe(false);
  });

  test.each([-1, 512, null])('a padding token without a row is left out: %j', async (pad_token_id) => {
    const final = await trained(model({ 'generation_config.json': { pad_token_id } }), { set: [chatml] });
    expect(json(final, 'generation_config.json')).toEqual({ bos_token_id: 1, eos_token_id: [2, 4] });
  });

  test('a generation_config.json that cannot be read stops the run before it begins', async () => {
    await expect(trained(model({ 'generation_config.json': '{' }), { isChat: false })).rejects.toThrow(
      /generation_config\.json: not JSON/,
    );
    expect(existsSync(join(folder, 'run'))).toBe(false);
  });
});

test('checkpoints have the same files, also when a run goes on from one', async () => {
  const source = model({
    'tokenizer_config.json': { ...plain, chat_template: 'old' },
    'generation_config.json': { top_p: 0.9 },
  });
  const set = [chatml, 'steps=2', 'checkpoint.every=1'];
  const final = await trained(source, { set });
  const checkpoint = join(folder, 'run/checkpoints/step-000002');
  const names = [
    'chat_template.jinja',
    'config.json',
    'generation_config.json',
    'tokenizer.json',
    'tokenizer_config.json',
  ];
  const files = names.map((name) => read(final, name));
  expect(names.map((name) => read(checkpoint, name))).toEqual(files);
  rmSync(final, { recursive: true });
  await trained(source, { set, resume: true });
  expect(names.map((name) => read(final, name))).toEqual(files);
});
