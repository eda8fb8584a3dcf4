// biome-ignore-all lint/suspicious/noTemplateCurlyInString: a recipe writes ${NAME} itself
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { processorMs } from '../../../../tests/support/processor-time.js';
import { RecipeError, UsageError } from '../errors.js';
import { recipeKeys } from './keys.js';
import { checkRecipeValue, type ParseOptions, parseRecipe, readRecipe } from './parse.js';
import { sizeBytes } from './recipe.js';

const minimal = 'model: m\nmethod: dpo\ndata: { train: a.jsonl }\n';
const parse = (text: string, options: ParseOptions = {}) => parseRecipe(text, { file: 'r.yaml', env: {}, ...options });

/** The problems of a recipe that must have some. */
function problems(text: string, options: ParseOptions = {}): readonly string[] {
  try {
    parse(text, options);
  } catch (error) {
    expect(error).toBeInstanceOf(RecipeError);
    expect((error as RecipeError).file).toBe('r.yaml');
    return (error as RecipeError).problems;
  }
  throw new Error('the recipe was accepted');
}

describe('a recipe', () => {
  it('of three keys gets every other default', () => {
    expect(parse(minimal)).toEqual({
      model: 'm',
      precision: 'fp32',
      device: 'auto',
      deterministic: false,
      method: 'dpo',
      loss: { beta: 0.1, labelSmoothing: 0 },
      reference: { update: 'fixed' },
      data: {
        train: 'a.jsonl',
        format: 'auto',
        maxLength: 1024,
        keepIdentical: false,
        truncate: 'keepStart',
        shuffle: true,
        checkRows: true,
      },
      batch: { size: 8, tokensPerMicroBatch: 16384 },
      optimizer: { lr: 1e-6, betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0 },
      schedule: { type: 'linear', warmupSteps: 0 },
      activationCheckpointing: false,
      maxGradNorm: 1,
      epochs: 1,
      evaluate: {},
      logEvery: 1,
      onDivergence: 'stop',
      onRunaway: 'warn',
      parallel: { shard: 'none', replicas: 1, offload: 'none', timeoutSeconds: 600 },
      checkpoint: { every: '15min', keep: 2 },
      save: { maxShardSize: '5GB' },
      log: { tensorboard: false },
      seed: 42,
    });
  });

  it('may weigh the sources of a list', () => {
    const train = (text: string) => parse(`{ model: m, method: dpo, data: { train: ${text} } }`).data.train;
    expect(train('[a, { source: b, weight: 0.5 }]')).toEqual(['a', { source: 'b', weight: 0.5 }]);
    const allowed = 'allowed: string | list of (string | { source: string, weight: number > 0 })';
    expect(() => train('[{ source: a, weight: 0 }]')).toThrow(`data.train[0].weight: 0 is not allowed`);
    for (const wrong of ['{ source: a, weight: 1 }', '[{ source: a }]', '[{ source: a, weight: 1, x: 2 }]']) {
      expect(() => train(wrong)).toThrow(allowed);
    }
  });

  it('may write numbers as 1e-6 and share values by anchor', () => {
    const recipe = parse(`${minimal}optimizer: { lr: &small 1e-6, eps: *small }\n`);
    expect(recipe.optimizer).toMatchObject({ lr: 1e-6, eps: 1e-6 });
  });

  it.each([
    ['{ update: fixed }', { update: 'fixed' }],
    ['{ update: soft, alpha: 0.6 }', { update: 'soft', alpha: 0.6 }],
    ['{ update: hard, tau: 512 }', { update: 'hard', tau: 512 }],
    ['{ update: mixed, alpha: 1, tau: 4 }', { update: 'mixed', alpha: 1, tau: 4 }],
  ])('takes the reference %s', (text, reference) => {
    expect(parse(`${minimal}reference: ${text}\n`).reference).toEqual(reference);
  });

  it('reads sizes in decimal and binary units', () => {
    expect(['5GB', '1.5 MB', '2GiB', '1KiB'].map(sizeBytes)).toEqual([5e9, 1.5e6, 2 ** 31, 1024]);
  });

  it.each(['held.jsonl', '[a.jsonl, b.jsonl]', '100'])('takes validation: %s', (text) => {
    expect(parse(`model: m\nmethod: dpo\ndata: { train: a, validation: ${text} }`).data.validation).toBeDefined();
  });
});

describe('a mistake in a recipe', () => {
  it('is named with its place and the nearest key', () => {
    expect(problems(`${minimal}optimiser: { lr: 1 }\n`)).toEqual([
      'optimiser: unknown key; did you mean optimizer? (r.yaml:4:1)',
    ]);
  });

  it.each([
    ['loss:\n  Beta: 1', 'loss.Beta: unknown key; did you mean loss.beta? (r.yaml:5:3)'],
    ['max_grad_norm: 1', 'max_grad_norm: unknown key; did you mean maxGradNorm? (r.yaml:4:1)'],
    ['max_length: 9', 'max_length: unknown key; did you mean data.maxLength? (r.yaml:4:1)'],
    ['batch_size: 9', 'batch_size: unknown key; did you mean batch.size? (r.yaml:4:1)'],
    ['lr: 1', 'lr: unknown key; did you mean optimizer.lr? (r.yaml:4:1)'],
    [
      'batch: { zzzzzzzz: 1 }',
      'batch.zzzzzzzz: unknown key; the keys of batch are size, tokensPerMicroBatch, rowsPerMicroBatch (r.yaml:4:10)',
    ],
  ])('finds the nearest key of "%s"', (line, expected) => {
    expect(problems(`${minimal}${line}\n`)).toEqual([expected]);
  });

  it('alpha: 2 says what alpha is and what is allowed', () => {
    expect(problems(`${minimal}reference: { update: soft, alpha: 2 }\n`)).toEqual([
      'reference.alpha: 2 is not allowed: alpha is the share of the policy in the new reference; allowed: number in [0, 1] (r.yaml:4:35)',
    ]);
  });

  it('tau: 0 and a fractional tau are refused', () => {
    for (const tau of ['0', '1.5', '-3']) {
      expect(problems(`${minimal}reference: { update: hard, tau: ${tau} }\n`)).toEqual([
        expect.stringMatching(`^reference.tau: ${tau} is not allowed: tau is the number .*; allowed: integer >= 1 `),
      ]);
    }
  });

  it('tau with a soft update is a contradiction, not an option without effect', () => {
    expect(problems(`${minimal}reference:\n  update: soft\n  alpha: 0.5\n  tau: 4\n`)).toEqual([
      'reference.tau: not used with update: soft, only with update: hard | mixed; remove it or change reference.update (r.yaml:7:3)',
    ]);
  });

  it('in the update does not hide those beside it', () => {
    const found = problems(`${minimal}reference: { update: sotf, alhpa: 1, alpha: 7, tau: 3 }\n`);
    expect(found).toHaveLength(3);
    expect(found[0]).toMatch(
      /^reference.update: "sotf" is not allowed: .* fixed \| soft \| hard \| mixed \| plateau; did you mean soft\?/,
    );
    expect(found[1]).toMatch(/^reference.alhpa: unknown key; did you mean reference.alpha\?/);
    expect(found[2]).toMatch(/^reference.alpha: 7 is not allowed/);
  });

  it('such as a missing key is named, inside a missing section too', () => {
    const found = problems('precision: fp64\n');
    expect(found.map((problem) => problem.split(':').slice(0, 2).join(':'))).toEqual([
      'model: missing',
      'method: missing',
      'data.train: missing',
    ]);
    expect(problems(`${minimal}reference: { update: soft }\n`)[0]).toMatch(
      /^reference.alpha: missing: alpha is the share/,
    );
    expect(problems(`${minimal}reference: { alpha: 1 }\n`)[0]).toMatch(/^reference.update: missing/);
  });

  it('such as a number in quotes comes with the cure', () => {
    expect(problems(`${minimal}optimizer: { lr: "1e-6" }\n`)[0]).toMatch(
      /^optimizer.lr: "1e-6" is not allowed: .*; this is text: write 1e-6 without quotes /,
    );
    expect(problems(`${minimal}batch: { size: 1_000 }\n`)[0]).toMatch(/write 1000 without underscores/);
    expect(problems('model: m\nmethod: dpo\ndata: { train: a, shuffle: "no" }')[0]).toMatch(
      /write true or false without quotes/,
    );
  });

  it('such as a wrong type in a list is placed at the item', () => {
    expect(problems(`${minimal}optimizer:\n  betas: [0.9, 1]\n`)[0]).toMatch(
      /^optimizer.betas\[1\]: 1 is not allowed.*r.yaml:5:16/,
    );
  });

  it.each(['5', '5 gb', 'GB', '-1GB'])('such as maxShardSize: %s is refused', (value) => {
    expect(problems(`${minimal}save: { maxShardSize: ${JSON.stringify(value)} }\n`)[0]).toMatch(
      /^save.maxShardSize: .* such as 500MB, 5GB, 2GiB/,
    );
  });

  it.each(['.inf', '.nan', '-1'])('such as maxGradNorm: %s is refused', (value) => {
    expect(problems(`${minimal}maxGradNorm: ${value}\n`)[0]).toMatch(/^maxGradNorm: .* allowed: number > 0/);
  });

  it('such as an interval of evaluations with nothing to evaluate on is refused', () => {
    expect(problems(`${minimal}evaluate: { every: 5 }\n`)).toEqual([
      'evaluate.every: 5: it has no effect without data.validation: set data.validation, or remove this key (r.yaml:4:20)',
    ]);
  });

  it.each([
    ['{ type: nca_pair, fDivergenceType: forward_kl }', 'loss.fDivergenceType', 'it is for the losses sigmoid, hinge'],
    ['{ type: [sft], fDivergenceType: forward_kl }', 'loss.fDivergenceType', 'it is for the losses sigmoid, hinge'],
    [
      '{ fDivergenceType: js_divergence, clipReferenceMargin: true }',
      'loss.fDivergenceType',
      'goes with reverse_kl alone',
    ],
    [
      '{ fDivergenceType: js_divergence, fAlphaDivergenceCoef: 0.3 }',
      'loss.fAlphaDivergenceCoef',
      'it is the order of fDivergenceType alpha_divergence',
    ],
    ['{ fDivergenceType: kl }', 'loss.fDivergenceType', 'allowed: reverse_kl | forward_kl'],
  ])('such as a divergence that its losses do not take is refused: %s', (loss, path, rule) => {
    const [first, ...others] = problems(`${minimal}loss: ${loss}\n`);
    expect(others).toEqual([]);
    expect(first).toContain(`${path}: `);
    expect(first).toContain(rule);
  });

  it.each(['replicas: 2', 'offload: optimizer'])('such as %s of what is not divided is refused', (line) => {
    expect(problems(`${minimal}parallel: { ${line} }\n`)[0]).toMatch(
      /^parallel\.(replicas|offload): .* it has no effect where parallel.shard divides nothing: /,
    );
    expect(parse(`${minimal}parallel: { ${line}, shard: gradients }\n`).parallel.shard).toBe('gradients');
  });

  it.each(['sft', 'kto', 'kto-pair'])('such as a divergence with method %s is refused', (method) => {
    const found = problems(`model: m\nmethod: ${method}\ndata: { train: a }\nloss: { fDivergenceType: forward_kl }\n`);
    expect(found).toEqual([
      expect.stringMatching(/^loss.fDivergenceType: .*option of method dpo, ipo and has no effect/),
    ]);
  });

  it('such as an accuracy that method kto does not have', () => {
    const found = problems(
      'model: m\nmethod: kto\ndata: { train: a, validation: 9 }\nevaluate: { every: 5 }\nreference: { update: plateau, metric: accuracy, patience: 2, minGain: 0 }\n',
    );
    expect(found).toEqual([expect.stringMatching(/^reference.metric: .*accuracy is of pairs/)]);
  });

  it('is reported together with all others, in the order of the file', () => {
    const found = problems(
      `${minimal}batch: 3\nloss:\nepochs: 1.5\nschedule: { type: cosine, warmupSteps: 2.5 }\nprecision: fp16\nnonsense: [1]\n`,
    );
    expect(found.map((problem) => problem.split(':')[0])).toEqual([
      'batch',
      'loss',
      'epochs',
      'schedule.type',
      'schedule.warmupSteps',
      'precision',
      'nonsense',
    ]);
  });

  it('of form is named with its place', () => {
    expect(problems('model: [a\n')[0]).toMatch(/\(r.yaml:2:1\)|\(r.yaml:1:/);
    expect(problems(`${minimal}model: again\n`)).toEqual(['model: this key is given twice (r.yaml:4:1)']);
    expect(problems('model: !!python/object x\n')[0]).toMatch(/tag.*\(r.yaml:1:8\)/);
    expect(problems('')[0]).toMatch(/the file is empty/);
  });

  it('such as a name of JavaScript is an unknown key', () => {
    for (const name of ['__proto__', 'constructor', 'toString']) {
      expect(problems(`${minimal}${name}: { a: 1 }\n`)[0]).toMatch(new RegExp(`^${name}: unknown key`));
      expect(problems(minimal, { set: [`${name}.a=1`] })[0]).toMatch(/unknown key/);
    }
  });
});

it('whatever a recipe holds, it is accepted or all that is wrong is named', () => {
  const paths = recipeKeys().map((key) => key.path.split('.'));
  const edit = fc.tuple(fc.constantFrom(...paths), fc.jsonValue({ maxDepth: 2 }));
  fc.assert(
    fc.property(fc.array(edit, { minLength: 1, maxLength: 6 }), (edits) => {
      const recipe: Record<string, unknown> = { model: 'm', method: 'dpo', data: { train: 'a' } };
      for (const [[section, name], value] of edits) {
        if (name === undefined) recipe[section!] = value;
        else recipe[section!] = { ...(recipe[section!] as object), [name]: value };
      }
      try {
        parse(JSON.stringify(recipe));
      } catch (error) {
        expect(error).toBeInstanceOf(RecipeError);
        expect((error as RecipeError).problems.length).toBeGreaterThan(0);
      }
    }),
    { numRuns: 300, seed: 1 },
  );
});

describe('--set', () => {
  it('overrides keys with YAML values, the last one winning', () => {
    const set = [
      'optimizer.lr=1e-5',
      'data.train=[a, b]',
      'data.shuffle=false',
      'seed=1',
      'seed=2',
      'reference={ update: hard, tau: 4 }',
    ];
    expect(parse(minimal, { set })).toMatchObject({
      optimizer: { lr: 1e-5 },
      data: { train: ['a', 'b'], shuffle: false },
      seed: 2,
      reference: { update: 'hard', tau: 4 },
    });
  });

  it('a.b=null takes a key out of the file', () => {
    const soft = `${minimal}reference: { update: soft, alpha: 0.5 }\n`;
    const set = ['reference.update=hard', 'reference.tau=3'];
    expect(problems(soft, { set })).toEqual([expect.stringMatching(/^reference.alpha: not used with update: hard/)]);
    expect(parse(soft, { set: [...set, 'reference.alpha=null'] }).reference).toEqual({ update: 'hard', tau: 3 });
  });

  it('can give what the file leaves out', () => {
    expect(parse('model: m\nmethod: dpo\n', { set: ['data.train=x'] }).data.train).toBe('x');
  });

  it.each([
    ['optimiser.lr=3', 'optimiser.lr: unknown key; did you mean optimizer.lr? (--set optimiser.lr=3)'],
    [
      'extends=other.yaml',
      'extends: it is for recipe files: write it into one, or set the keys themselves (--set extends=other.yaml)',
    ],
    ['x', '--set x: write --set key=value, such as --set optimizer.lr=1e-6'],
    ['=3', '--set =3: write --set key=value, such as --set optimizer.lr=1e-6'],
    ['loss.beta=', 'loss.beta: no value; to take the key out of the recipe, set it to null (--set loss.beta=)'],
    ['data.train=[a', 'data.train: Flow sequence must end with a ] (--set data.train=[a)'],
    ['seed.x=3', 'seed: has no keys of its own: set it as a whole, to integer in [0, 4294967295] (--set seed.x=3)'],
  ])('%s is a mistake that names the flag', (item, expected) => {
    expect(problems(minimal, { set: [item] })).toEqual([expected]);
  });

  it('with a wrong value names the flag as the place', () => {
    expect(problems(minimal, { set: ['loss.beta=-1'] })[0]).toMatch(
      /^loss.beta: -1 is not allowed: .*\(--set loss.beta=-1\)$/,
    );
  });
});

describe('${NAME} in a recipe', () => {
  it('stays as it is written, in lists and overrides too', () => {
    const env = { DATA: '/d' };
    const recipe = parse('model: "${DATA}/m"\nmethod: dpo\ndata: { train: ["${DATA}/a", b] }', {
      env,
      set: ['data.validation=${DATA}/v'],
    });
    expect(recipe).toMatchObject({
      model: '${DATA}/m',
      data: { train: ['${DATA}/a', 'b'], validation: '${DATA}/v' },
    });
  });

  it('stands for paths and a whole address alone, since it would be sent elsewhere or learned by the model', () => {
    const env = { SECRET: 's3cr3t-value' };
    const text =
      'model: m\nmethod: dpo\nprecision: ${SECRET}\nseed: ${SECRET}\ndata: { train: a, chatTemplate: "{{ x }} ${SECRET}" }\n' +
      'log: { mlflow: "http://host/${SECRET}", experiment: "${SECRET}" }\n';
    const found = problems(text, { env });
    expect(found.map((line) => line.slice(0, line.indexOf(':')))).toEqual([
      'precision',
      'seed',
      'data.chatTemplate',
      'log.mlflow',
      'log.experiment',
    ]);
    expect(found[0]).toMatch(
      /^precision: \$\{SECRET\} is not replaced here: variables stand for paths, in model, .*3:12/,
    );
    expect(found[3]).toMatch(/^log\.mlflow: a variable may be the whole address, not a part of one/);
    expect(found.join()).not.toContain('s3cr3t');
    for (const path of ['model', 'reference.model', 'data.train', 'data.validation', 'log.mlflow'])
      expect(parse(minimal, { env, set: ['reference.update=fixed', `${path}=\${SECRET}`] })).toBeTruthy();
    expect(parse(minimal, { env, set: ['data.chatTemplate=${SECRET}/t.jinja'] })).toBeTruthy();
  });

  it('is an error when the variable is unset, empty or no name', () => {
    const text = 'model: ${NOPE}\nmethod: dpo\ndata: { train: ["${EMPTY}/a", "${A-B}"] }';
    expect(problems(text, { env: { EMPTY: '' } })).toEqual([
      'model: ${NOPE} is not set in the environment: set NOPE, or write the value itself (r.yaml:1:8)',
      'data.train[0]: ${EMPTY} is empty in the environment: set EMPTY, or write the value itself (r.yaml:3:17)',
      'data.train[1]: ${A-B} names no environment variable: write ${NAME}, with letters, digits and _ (r.yaml:3:31)',
    ]);
  });
});

describe('an address with a password', () => {
  it.each([
    ['log: { mlflow: "http://me:s3cr3t@host" }', []],
    ['log: { mlflow: "http://me:s3/cr3t@host" }', []],
    ['log: { mlflow: "me:s3cr3t@host" }', []],
    ['log: { mlflow: "https://host/?token=s3cr3t" }', []],
    ['log: { mlflow: "https://host/#s3cr3t" }', []],
    ['log: "http://me:s3cr3t@host"', []],
    [`log: "http://me:s3cr3t${'x'.repeat(200)}@host"`, []],
    ['', ['log.mlflow=http://me:s3cr3t@host']],
    ['', ['log={ mlflow: "https://host?s3cr3t" }']],
    ['', ['log.mlfow=http://me:s3cr3t@host']],
    ['', ['log.mlflow=[s3cr3t']],
    ['method: { "http://me:s3cr3t@host": 1 }', []],
  ])('is refused and not repeated: %s%j', (text, set) => {
    const found = problems(
      `model: m\n${text.startsWith('method') ? '' : 'method: dpo\n'}data: { train: a }\n${text}\n`,
      {
        set,
      },
    );
    expect(found).toHaveLength(1);
    expect(found[0]).not.toContain('s3');
  });
});

describe('a recipe file', () => {
  it('that cannot be read is wrong usage and suggests a neighbour', () => {
    const folder = mkdtempSync(join(tmpdir(), 'recipes-'));
    writeFileSync(join(folder, 'soft.yaml'), minimal);
    expect(readRecipe(join(folder, 'soft.yaml')).model).toBe('m');
    expect(() => readRecipe(join(folder, 'sotf.yaml'))).toThrow(
      new UsageError(`${join(folder, 'sotf.yaml')} does not exist: did you mean ${join(folder, 'soft.yaml')}?`),
    );
    expect(() => readRecipe(folder)).toThrow(/is a folder: name a recipe/);
    writeFileSync(join(folder, 'run.json'), '{}');
    expect(() => readRecipe(folder)).toThrow(/is the folder of a run, and no recipe: name the recipe/);
    expect(() => readRecipe(join(folder, 'none', 'a.yaml'))).toThrow(/nor does the folder/);
  });
});

it('a flag that means the same as a recipe key has its limits', () => {
  expect(checkRecipeValue('loss.beta', 0.2, '--beta')).toBe(0.2);
  expect(() => checkRecipeValue('loss.beta', 0, '--beta')).toThrow(
    new UsageError(
      '--beta: 0 is not allowed: beta is the strength of the pull towards the reference; allowed: number > 0',
    ),
  );
});

describe('a recipe that somebody else wrote', () => {
  const soon = (text: string) => {
    const begin = processorMs();
    const found = problems(text);
    expect(processorMs() - begin).toBeLessThan(1000);
    return found;
  };

  it.each([
    ['brackets', `${minimal}x: ${'['.repeat(30_000)}${']'.repeat(30_000)}`],
    ['braces', `${minimal}x: ${'{a: '.repeat(10_000)}1${'}'.repeat(10_000)}`],
    ['open braces', '{'.repeat(60_000)],
    ['keys in braces', `${minimal}x: { ${'in: '.repeat(15_000)}`],
    ['dashes', `${minimal}x:\n  ${'- '.repeat(20_000)}1`],
    ['keys', '? '.repeat(30_000)],
    ['indentation', Array.from({ length: 300 }, (_, i) => `${' '.repeat(i)}a:\n`).join('')],
  ])('may not go deep: %s', (_name, text) => {
    expect(soon(text)).toEqual(['sections and lists lie in each other more than 100 deep (r.yaml)']);
  });

  it('may not be long, nor be made long by its aliases', () => {
    expect(soon(`${minimal}# ${'x'.repeat(1 << 16)}`)).toEqual([
      expect.stringMatching(/^\d+ characters, of which 65536 are read: is it another file\?/),
    ]);
    const names = 'abcdefghij'.split('');
    const lists = names.map((name, i) => `${name}: &${name} [${Array(9).fill(i === 0 ? 'x' : `*${names[i - 1]}`)}]`);
    expect(soon(`${minimal}${lists.join('\n')}`)).toEqual([expect.stringMatching(/[Ee]xcessive alias count/)]);
  });

  it('may hold long comments, texts and lists that are wide', () => {
    const wide = `${minimal.replace('a.jsonl', `[${Array(500).fill('a.jsonl')}]`)}      # ${'-: [{? '.repeat(50)}\n`;
    expect(parse(wide).data.train).toHaveLength(500);
  });

  it('makes nothing of tags and merge keys', () => {
    for (const value of ['!!js/function "x"', '!!python/object:os.system x', '!<tag:yaml.org,2002:js/undefined> ""']) {
      expect(problems(`${minimal}notes: ${value}`).join()).toMatch(/[Uu]nresolved tag|notes/);
    }
    expect(problems(`${minimal}__proto__: { polluted: 1 }`)).toEqual([expect.stringMatching(/__proto__/)]);
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });

  it('with problems without number tells the first of them, in short', () => {
    const text = `${minimal}${Array.from({ length: 900 }, (_, i) => `k${i}: ${'x'.repeat(20)}\n`).join('')}`;
    const { message } = (() => {
      try {
        return parse(text);
      } catch (error) {
        return error as Error;
      }
    })() as Error;
    expect(message).toMatch(/^r\.yaml has 900 problems:\n/);
    expect(message).toMatch(/\n {2}and 875 more$/);
    expect(message.length).toBeLessThan(30_000);
  });
});
