// Configurations of TRL and axolotl as recipes. The files are our own, in the manner of published ones; the arguments
// and their defaults are those of TRL 1.13.0 (tests/oracle/make_trl_arguments.py).
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { FormatError, UsageError } from '../errors.js';
import { parseRecipe, parseYaml, type Recipe } from '../recipe/index.js';
import { axolotlOptions } from './axolotl-options.js';
import { fromTrl, type TranslationOptions } from './from-trl.js';
import { outcomeOf } from './option.js';
import { type Trainer, trainers, trlDefaults } from './trl-defaults.js';
import { trlOptions } from './trl-options.js';

const fixtures = fileURLToPath(new URL('../../../../tests/fixtures/trl/', import.meta.url));
const { versions, classes } = JSON.parse(readFileSync(join(fixtures, 'arguments.json'), 'utf8')) as {
  versions: Record<string, string>;
  classes: Record<string, Record<string, unknown>>;
};
const classOf: Record<Trainer, string> = {
  dpo: 'DPOConfig',
  kto: 'KTOConfig',
  sft: 'SFTConfig',
  cpo: 'CPOConfig',
  orpo: 'ORPOConfig',
};

const options: TranslationOptions = { file: 'config.yaml', trainer: 'dpo' };
const translated = (given: Record<string, unknown>, more: Partial<TranslationOptions> = {}) => {
  const named = { model_name_or_path: 'acme/m', dataset_name: 'acme/d', ...given };
  const translation = fromTrl(JSON.stringify(named), { ...options, ...more });
  return { ...translation, values: parseRecipe(translation.recipe, { file: 'r.yaml', env: {} }) };
};
const told = (remarks: readonly { option: string; text: string }[]) => remarks.map(({ option }) => option);

/** The keys of a recipe as they stand in it, with their values as JSON. */
function keysOf(recipe: string): Map<string, string> {
  const keys = new Map<string, string>();
  const visit = (value: unknown, path: string) => {
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      for (const [name, inner] of Object.entries(value)) visit(inner, path === '' ? name : `${path}.${name}`);
    } else keys.set(path, JSON.stringify(value));
  };
  visit(parseYaml(recipe).value, '');
  return keys;
}

describe('the arguments of TRL', () => {
  it('are those of the version that is named', () => {
    expect(versions).toEqual({ trl: '1.13.0', transformers: '5.18.0' });
  });

  it.each(Object.keys(classes))(
    'of %s are all translated, harmless or untranslated, and nothing falls through',
    (name) => {
      const unknown = Object.keys(classes[name]!).filter((option) => outcomeOf(option, trlOptions) === undefined);
      expect(unknown).toEqual([]);
    },
  );

  it('are each in one table', () => {
    for (const tables of [trlOptions, axolotlOptions]) {
      const names = Object.values(tables).flatMap((table) => Object.keys(table));
      expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
    }
  });

  it.each(trainers)('of %s have the defaults of TRL where a file leaves them out', (trainer) => {
    const { ModelConfig, ScriptArguments } = classes;
    const all = { ...ModelConfig, ...ScriptArguments, ...classes[classOf[trainer]] };
    for (const [option, value] of Object.entries(trlDefaults[trainer])) {
      expect({ option, value }).toEqual({ option, value: option === 'warmup_steps' ? 0 : all[option] });
    }
    const translatedOnes = Object.keys(classes[classOf[trainer]]!).filter(
      (option) => outcomeOf(option, trlOptions) === 'translated' && all[option] !== null,
    );
    const known = Object.keys(trlDefaults[trainer]);
    expect(translatedOnes.filter((option) => !known.includes(option))).toEqual([]);
  });

  it('that are harmless or untranslated are told of by their names when they are given', () => {
    for (const option of Object.keys(trlOptions.harmless)) {
      expect(told(translated({ [option]: 'x' }).harmless), option).toEqual([option]);
    }
    for (const [option, { off }] of Object.entries(trlOptions.untranslated)) {
      if (['cpo_alpha', 'simpo_gamma'].includes(option)) continue;
      const missing = told(translated({ [option]: 0.5 }).missing);
      expect(missing, option).toEqual([option]);
      for (const value of off) expect(translated({ [option]: value }).missing, option).toEqual([]);
    }
  });

  it('that nobody knows are told of, with the nearest name', () => {
    const { missing } = translated({ learning_rat: 1e-6, quux: 3 });
    expect(missing).toEqual([
      { option: 'learning_rat', text: expect.stringContaining('was learning_rate meant?') },
      { option: 'quux', text: 'is no option that TRL 1.13.0 is known to have' },
    ]);
  });
});

/** A value of each translated argument that is not its default, with what it needs beside it. */
const samples: Record<string, [value: unknown, beside?: Record<string, unknown>, trainer?: Trainer]> = {
  model_name_or_path: ['acme/other'],
  model_revision: ['v3'],
  model_init_kwargs: [{ revision: 'v4' }],
  dtype: ['bfloat16'],
  bf16: [false],
  fp16: [true, { bf16: true }],
  tf32: [true, { bf16: false }],
  gradient_checkpointing: [false],
  use_peft: [true],
  lora_r: [3, { use_peft: true }],
  lora_alpha: [3, { use_peft: true }],
  lora_dropout: [0.3, { use_peft: true }, 'sft'],
  lora_target_modules: [['o_proj'], { use_peft: true }],
  lora_modules_to_save: [['lm_head'], { use_peft: true, bf16: false }],
  use_rslora: [true, { use_peft: true }],
  use_dora: [true, { use_peft: true }],
  load_in_4bit: [true, { use_peft: true }],
  bnb_4bit_quant_type: ['fp4', { use_peft: true, load_in_4bit: true }],
  use_bnb_nested_quant: [true, { use_peft: true, load_in_4bit: true }],
  loss_type: ['hinge'],
  loss_weights: [[0.5], { loss_type: ['sigmoid'] }],
  beta: [0.7],
  label_smoothing: [0.2, { loss_type: 'robust' }],
  f_divergence_type: ['js_divergence'],
  f_alpha_divergence_coef: [0.4, { f_divergence_type: 'alpha_divergence' }],
  discopop_tau: [0.2, { loss_type: 'discopop' }],
  desirable_weight: [2, {}, 'kto'],
  undesirable_weight: [2, {}, 'kto'],
  sync_ref_model: [true],
  ref_model_mixup_alpha: [0.3, { sync_ref_model: true }],
  ref_model_sync_steps: [7, { sync_ref_model: true }],
  precompute_ref_log_probs: [true],
  dataset_name: ['acme/others'],
  dataset_config: ['german'],
  dataset_train_split: ['train_prefs'],
  dataset_test_split: ['dev', { eval_strategy: 'steps' }],
  datasets: [[{ path: 'acme/a', name: 'x', split: 'y' }]],
  test_split_size: [300, { datasets: [{ path: 'acme/a' }] }],
  max_length: [77],
  truncation_mode: ['keep_end'],
  chat_template_path: ['t.jinja', {}, 'sft'],
  completion_only_loss: [true, {}, 'sft'],
  assistant_only_loss: [true, {}, 'sft'],
  train_sampling_strategy: ['sequential'],
  per_device_train_batch_size: [5],
  gradient_accumulation_steps: [5],
  num_processes: [5],
  learning_rate: [3e-4],
  optim: ['adamw_8bit'],
  adam_beta1: [0.8],
  adam_beta2: [0.8],
  adam_epsilon: [1e-7],
  weight_decay: [0.1],
  max_grad_norm: [0],
  lr_scheduler_type: ['constant'],
  warmup_steps: [0.2],
  num_train_epochs: [5],
  max_steps: [50],
  eval_strategy: ['steps'],
  eval_steps: [33, { eval_strategy: 'steps' }],
  save_strategy: ['no'],
  save_steps: [33],
  save_total_limit: [5],
  load_best_model_at_end: [true, { eval_strategy: 'steps', eval_steps: 50 }],
  metric_for_best_model: ['eval_x', { load_best_model_at_end: true, eval_strategy: 'steps', eval_steps: 50 }],
  logging_steps: [3],
  report_to: ['tensorboard'],
  seed: [7],
  full_determinism: [true],
  use_cpu: [true],
  deepspeed: ['zero2.json', { num_processes: 2 }],
  fsdp: ['full_shard auto_wrap', { num_processes: 2 }],
  accelerate_config: ['zero1', { num_processes: 2 }],
  torch_dtype: ['bfloat16'],
  evaluation_strategy: ['steps'],
  max_seq_length: [77],
  no_cuda: [true],
  lora_rank: [3, { use_peft: true }],
  warmup_ratio: [0.2],
  group_by_length: [true],
  rpo_alpha: [0.5],
  dataset_mixer: [{ 'acme/a': 0.5 }],
  dataset_splits: [['train_a'], { dataset_mixer: { 'acme/a': 1 } }],
  dataset_mixture: [{ datasets: [{ id: 'acme/a' }] }],
  chat_template: ['chatml'],
};

test('every translated argument changes the keys that the table says, or is told of', () => {
  expect(Object.keys(samples).sort()).toEqual(Object.keys(trlOptions.translated).sort());
  for (const [option, [value, beside = {}, trainer = 'dpo']] of Object.entries(samples)) {
    const [without, withIt] = [
      translated(beside, { trainer }),
      translated({ ...beside, [option]: value }, { trainer }),
    ];
    const [before, after] = [keysOf(without.recipe), keysOf(withIt.recipe)];
    const changed = [...new Set([...before.keys(), ...after.keys()])].filter(
      (key) => before.get(key) !== after.get(key),
    );
    const isTold = withIt.missing.length > without.missing.length;
    expect(changed.length > 0 || isTold, option).toBe(true);
    const { to } = trlOptions.translated[option]!;
    // What a change brings along: another length of the run, rows that see each other, what is resumed.
    const along = [
      'epochs',
      'steps',
      'data.validation',
      'evaluate.every',
      'reference',
      'data.limit',
      'adapter',
      'quantize',
    ];
    for (const key of changed) {
      const isNamed = [...to, ...along].some((path) => key === path || key.startsWith(`${path}.`));
      expect(isNamed, `${option} changes ${key}`).toBe(true);
    }
    expect(
      changed.length === 0 ||
        isTold ||
        changed.some((key) => to.some((path) => key === path || key.startsWith(`${path}.`))),
      `${option} changes ${changed.join(', ')}, and not ${to.join(', ')}`,
    ).toBe(true);
  }
});

describe('a configuration', () => {
  /** Whether the training is the same in meaning, and keys of the recipe. */
  const expected: Record<string, [isSame: boolean, values: Record<string, unknown>]> = {
    'cli-dpo.yaml': [
      true,
      { method: 'dpo', epochs: 3, batch: { size: 8 }, optimizer: { lr: 1e-6 }, precision: 'bf16' },
    ],
    'cli-dpo-flags.json': [true, { steps: 900, batch: { size: 18 }, evaluate: { every: 45 }, optimizer: { lr: 4e-7 } }],
    'cli-dpo-lora.yaml': [true, { adapter: { r: 24, alpha: 12, type: 'lora' }, logEvery: 20 }],
    'tr-dpo-mixed.yaml': [
      true,
      { reference: { update: 'mixed', alpha: 0.6, tau: 512 }, schedule: { warmupSteps: 80 } },
    ],
    'tr-dpo-soft.yaml': [true, { reference: { update: 'soft', alpha: 0.5 } }],
    'tr-dpo-hard.yaml': [
      true,
      { reference: { update: 'hard', tau: 300 }, batch: { size: 32 }, parallel: { shard: 'parameters' } },
    ],
    'mpo.yaml': [
      true,
      {
        loss: { type: ['sigmoid', 'bco_pair', 'sft'], weights: [0.7, 0.3, 0.9], labelSmoothing: 0 },
        reference: { update: 'fixed', storage: 'cached' },
        precision: 'fp32',
        matmul: 'bf16',
      },
    ],
    'ipo.json': [
      true,
      {
        method: 'ipo',
        loss: { beta: 0.2 },
        model: 'acme/small-chat-1b@v2',
        data: {
          train: 'acme/preferred-answers:english/train',
          validation: 'acme/preferred-answers:english/held_out',
          limit: 4000,
        },
        schedule: { type: 'constant', warmupSteps: 0.05 },
        log: { tensorboard: true },
      },
    ],
    'kto.yaml': [
      true,
      {
        method: 'kto',
        loss: { desirableWeight: 1.2, undesirableWeight: 0.9, partners: 'previous', over: 'microBatch' },
        data: { shuffle: false },
        batch: { size: 18, rowsPerMicroBatch: 6 },
      },
    ],
    'sft.yaml': [
      true,
      {
        method: 'sft',
        data: { loss: 'assistant', maxLength: 3000 },
        schedule: { type: 'constant' },
        deterministic: true,
      },
    ],
    'orpo.yaml': [false, { method: 'dpo', optimizer: { moments: '8bit' } }],
    'cpo-simpo.yaml': [false, { method: 'dpo' }],
    'handbook-full-dpo.yaml': [
      false,
      {
        data: {
          train: ['acme/ultra:train_pairs', { source: 'acme/harmless:train_pairs', weight: 0.4 }],
          validation: 1500,
        },
        schedule: { warmupSteps: 0.08 },
        batch: { size: 12 },
        checkpoint: { every: 150, keep: 2 },
        seed: 43,
      },
    ],
    'handbook-qlora-dpo.yaml': [
      true,
      {
        quantize: 'nf4',
        precision: 'bf16',
        data: { train: 'acme/ultra:train_pairs', validation: 'acme/ultra:test_pairs' },
      },
    ],
    'handbook-apo.yaml': [
      false,
      { loss: { type: 'apo_zero' }, model: 'acme/mid-3b@step-40', precision: 'bf16-params' },
    ],
    'handbook-sft.yaml': [true, { method: 'sft', epochs: 2, data: { validation: 800, maxLength: 1800, loss: 'full' } }],
    'handbook-rmsprop-dpo.yaml': [false, { epochs: 3, checkpoint: { best: 'rewards/accuracies' } }],
    'axolotl-dpo-lora.yml': [false, { adapter: { targets: 'all-linear' }, data: { chatTemplate: 'llama-3' } }],
    'axolotl-dpo.yaml': [true, { loss: { beta: 0.3 }, reference: { update: 'fixed' }, epochs: 2, batch: { size: 6 } }],
    'axolotl-chatml-intel.yml': [
      false,
      { adapter: { type: 'dora' }, quantize: 'nf4-double', data: { validation: 'acme/orca-pairs:test' } },
    ],
    'axolotl-kto.yaml': [
      true,
      { method: 'kto', loss: { beta: 0.4, desirableWeight: 0.5 }, data: { train: 'data/thumbs.jsonl' } },
    ],
    'axolotl-ipo.yaml': [
      true,
      { method: 'ipo', data: { train: 'rows/pairs.jsonl', validation: 200 }, loss: { beta: 0.25 } },
    ],
    'axolotl-orpo.yml': [false, { method: 'dpo' }],
    'axolotl-simpo.yml': [false, { method: 'dpo', steps: 400 }],
  };
  const files = readdirSync(join(fixtures, 'configs'));

  it.each(files)('%s gives a recipe that is valid, or says what it cannot', (name) => {
    const file = join('configs', name);
    const translation = fromTrl(readFileSync(join(fixtures, file), 'utf8'), { file });
    const [isSame, values] = expected[name]!;
    expect(translation.missing.length === 0, JSON.stringify(translation.missing)).toBe(isSame);
    const recipe: Recipe = parseRecipe(translation.recipe, { file: 'r.yaml', env: {} });
    expect(recipe).toMatchObject(values);
    for (const line of translation.recipe.split('\n').filter((one) => one.startsWith('#'))) {
      expect(line.length, line).toBeLessThanOrEqual(120);
    }
  });

  it('has each of its keys in the recipe or in what is told', () => {
    for (const name of files) {
      const file = join('configs', name);
      const text = readFileSync(join(fixtures, file), 'utf8');
      const { recipe, missing, remarks, harmless } = fromTrl(text, { file });
      const words = new Set([recipe, ...told([...missing, ...remarks, ...harmless])].join(' ').match(/[\w.-]+/g));
      const given = parseYaml(text, { version: '1.1' }).value as Record<string, unknown>;
      // Empty ones, and those that say what holds anyway.
      const isIdle = (key: string, value: unknown) =>
        value === trlDefaults.dpo[key] || [null, false, 'no', 'none', 0, -1].includes(value as null);
      const isNamed = (key: string) => [...words].some((word) => word === key || word.startsWith(`${key}.`));
      const silent = Object.entries(given).filter(([key, value]) => !isIdle(key, value) && !isNamed(key));
      expect(silent, name).toEqual([]);
    }
  });
});

describe('traps', () => {
  const texts = (remarks: readonly { option: string; text: string }[]) =>
    remarks.map(({ option, text }) => `${option}: ${text}`);

  it("TRL's alpha counts only every ref_model_sync_steps: with its defaults it is neither update of the paper", () => {
    const { remarks, values } = translated({ sync_ref_model: true });
    expect(values.reference).toEqual({ update: 'mixed', alpha: 0.6, tau: 512 });
    expect(texts(remarks)).toContainEqual(
      expect.stringMatching(/every 512 steps: neither the soft .* nor its hard one/),
    );
  });

  it('an option that chooses the update of the reference is not said to have no effect', () => {
    const soft = translated({ sync_ref_model: true, ref_model_sync_steps: 1 });
    expect(soft.recipe).toContain('update: soft # sync_ref_model, ref_model_sync_steps');
    expect(texts(soft.harmless)).toEqual([]);
    const hard = translated({ sync_ref_model: true, ref_model_mixup_alpha: 1 });
    expect(hard.recipe).toContain('update: hard # sync_ref_model, ref_model_mixup_alpha');
    expect(texts(hard.harmless)).toEqual([]);
  });

  it('label_smoothing without effect in TRL is left out, and said so', () => {
    for (const loss of ['sigmoid', 'ipo', 'hinge']) {
      const { remarks, recipe, missing } = translated({ loss_type: loss, label_smoothing: 0.1 });
      expect(recipe).not.toContain('labelSmoothing:');
      expect(missing).toEqual([]);
      expect(texts(remarks)).toContainEqual(expect.stringMatching(/^label_smoothing: TRL ignores it/));
    }
    expect(told(translated({ loss_type: ['robust', 'sigmoid'], label_smoothing: 0.1 }).missing)).toEqual([
      'label_smoothing',
    ]);
  });

  it('the dropout of an adapter is 0 in TRL unless disable_dropout is false', () => {
    expect(translated({ use_peft: true, lora_dropout: 0.2 }).values.adapter?.dropout).toBeUndefined();
    expect(translated({ use_peft: true, lora_dropout: 0.2, disable_dropout: false }).values.adapter?.dropout).toBe(0.2);
    expect(translated({ use_peft: true }, { trainer: 'sft' }).values.adapter?.dropout).toBe(0.05);
  });

  it('the processes count in the rows of a step: those asked for, else those of the file, else one, which is said', () => {
    expect(translated({}, { processes: 4 }).values.batch.size).toBe(32);
    expect(translated({ num_processes: 2 }).values.batch.size).toBe(16);
    const { values, remarks } = translated({});
    expect(values.batch.size).toBe(8);
    expect(texts(remarks)).toContainEqual(expect.stringMatching(/^batch.size: .*one process is assumed/));
  });

  it('constant has no warm-up in transformers', () => {
    const { values, remarks } = translated({ lr_scheduler_type: 'constant', warmup_steps: 10 });
    expect(values.schedule).toEqual({ type: 'constant', warmupSteps: 0 });
    expect(told(remarks)).toContain('warmup_steps');
  });

  it('targets that are left out are the choice of PEFT', () => {
    expect(translated({ use_peft: true }).values.adapter?.targets).toBe('/.*\\.(q_proj|v_proj|query_key_value)/');
    expect(translated({ use_peft: true, lora_target_modules: 'all-linear' }).values.adapter?.targets).toBe(
      'all-linear',
    );
  });

  it('axolotl moves no reference of DPO, whatever its trl section says', () => {
    const text = 'base_model: m\nrl: dpo\ndatasets: [{ path: d }]\ntrl: { sync_ref_model: true }\n';
    const { remarks, recipe } = fromTrl(text, { file: 'a.yaml' });
    expect(recipe).toMatch(/update: fixed/);
    expect(told(remarks)).toContain('trl.sync_ref_model');
  });
});

describe('what cannot be read', () => {
  it.each([
    ['- a', FormatError, /a map of options is expected/],
    ['a: [', FormatError, /config\.yaml:1:/],
  ])('%j is an error with its place', (text, kind, message) => {
    expect(() => fromTrl(text, { file: 'config.yaml' })).toThrow(kind);
    expect(() => fromTrl(text, { file: 'config.yaml' })).toThrow(message);
  });

  it('a file that is for no trainer that is known asks for one', () => {
    expect(() => fromTrl('model_name_or_path: m', { file: 'config.yaml' })).toThrow(
      'config.yaml does not say which trainer it is for: name it with trainer (cpo, kto, sft, orpo, dpo)',
    );
    expect(() => fromTrl('base_model: m\nrl: grpo', { file: 'c' })).toThrow(UsageError);
    expect(() => fromTrl('base_model: m', { file: 'c' })).toThrow(/no key rl/);
    expect(() => fromTrl('base_model: m\nrl: dpo', { file: 'c', trainer: 'dpo' })).toThrow(/has no effect/);
  });

  it('a file without model and rows gives a recipe to be filled in', () => {
    const { recipe, missing } = fromTrl('beta: 0.1', { file: 'c' });
    expect(told(missing)).toEqual(['model', 'data.train']);
    expect(parseRecipe(recipe, { file: 'r.yaml', env: {} })).toMatchObject({
      model: 'path/to/model',
      data: { train: 'path/to/pairs.jsonl' },
    });
  });
});

test('whatever values the options have, the recipe is valid', () => {
  const odd = [
    null,
    true,
    false,
    0,
    -1,
    0.5,
    1,
    2,
    1e9,
    1e-9,
    '',
    'x',
    'auto',
    '3',
    'none',
    'a: b #',
    [],
    ['x'],
    {},
    [null],
  ];
  const names = [...Object.keys(trlOptions.translated), ...Object.keys(trlOptions.untranslated)];
  const value = fc.oneof(
    fc.constantFrom<unknown>(...odd),
    fc.constantFrom<unknown>(...Object.values(samples).map(([sample]) => sample)),
  );
  const given = fc.array(fc.tuple(fc.constantFrom(...names), value), { maxLength: 25 });
  fc.assert(
    fc.property(given, fc.constantFrom(...trainers), (entries, trainer) => {
      const { recipe } = fromTrl(JSON.stringify(Object.fromEntries(entries)), { file: 'config.yaml', trainer });
      parseRecipe(recipe, { file: 'r.yaml', env: {} });
    }),
    { numRuns: 150 },
  );
});
