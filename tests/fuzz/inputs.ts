// Whole inputs of every reader, of a few kilobytes each: what is broken in many ways. Fixtures, texts made here, and
// the real files of the data folder where it is there.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { parseRecipe } from '#reanchor/recipe/index.js';
import { builtInTemplates } from '#reanchor/text/built-in-templates.js';
import { dataFolder, fixtures, repositoryRoot } from '../support/repository.js';
import { secret } from './filters.js';

export const fixture = (path: string) => readFileSync(join(fixtures, path));
const json = (value: unknown) => Buffer.from(JSON.stringify(value));
const lines = (values: readonly unknown[]) => Buffer.from(values.map((value) => `${JSON.stringify(value)}\n`).join(''));

/** A file of the data folder, unpacked; nothing where it is not there. */
function real(path: string): Buffer | undefined {
  if (dataFolder === undefined || !existsSync(join(dataFolder, path))) return undefined;
  const bytes = readFileSync(join(dataFolder, path));
  return path.endsWith('.gz') ? gunzipSync(bytes) : bytes;
}

/** The first lines of a real JSONL file, and the first rows of a real JSON list. */
function realRows(path: string, count: number): Buffer[] {
  const bytes = real(path);
  if (!bytes) return [];
  if (!path.includes('.jsonl')) return [json((JSON.parse(bytes.toString()) as unknown[]).slice(0, count))];
  return [Buffer.from(`${bytes.toString().split('\n').slice(0, count).join('\n')}\n`)];
}

const pairs = Buffer.from(fixture('text/pairs.jsonl').toString().split('\n').slice(0, 8).join('\n'));
const chats = lines([
  {
    prompt: [{ role: 'user', content: 'Hi' }],
    chosen: [{ role: 'assistant', content: 'Hello' }],
    rejected: [{ role: 'assistant', content: 'What?' }],
  },
  { prompt: 'plain', chosen: 'yes', rejected: 'no', score: 1.5 },
]);

/** A safetensors file of some tensors. */
function safetensors(): Buffer {
  const header = Buffer.from(
    JSON.stringify({
      __metadata__: { format: 'pt' },
      a: { dtype: 'F32', shape: [2, 2], data_offsets: [0, 16] },
      b: { dtype: 'BF16', shape: [3], data_offsets: [16, 22] },
    }),
  );
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  return Buffer.concat([length, header, Buffer.alloc(22, 1)]);
}

/** A real tokenizer.json with the entries of its vocabulary up to a number, and the merges among them. */
function smallTokenizer(bytes: Buffer, size: number): Buffer {
  const definition = JSON.parse(bytes.toString()) as {
    added_tokens: { id: number }[];
    model: { vocab: Record<string, number>; merges: unknown[] };
  };
  const { model } = definition;
  model.vocab = Object.fromEntries(Object.entries(model.vocab).filter(([, id]) => id < size));
  model.merges = model.merges.filter((merge) => {
    const [left, right] = Array.isArray(merge) ? (merge as string[]) : String(merge).split(' ');
    return [left!, right!, left! + right!].every((token) => Object.hasOwn(model.vocab, token));
  });
  definition.added_tokens = definition.added_tokens.filter(({ id }) => id < size);
  return json(definition);
}

const split = (regex: string, behavior = 'Isolated') => ({
  type: 'Sequence',
  pretokenizers: [
    { type: 'Split', pattern: { Regex: regex }, behavior, invert: false },
    { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false },
  ],
});
/** The fixture's tokenizer with other ways to cut texts. */
function tokenizers(): Buffer[] {
  const definition = JSON.parse(fixture('tokenizer/tokenizer.json').toString()) as Record<string, unknown>;
  const patterns = [
    String.raw`(?i:'s|'t)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
    String.raw`(\w+\s?)*x`,
    '(a|a)*$',
    String.raw`\d+`,
  ];
  const normalizers = [
    { type: 'Replace', pattern: { Regex: '( +)+x' }, content: ' ' },
    { type: 'Sequence', normalizers: [{ type: 'NFC' }, { type: 'Strip', strip_left: true, strip_right: true }] },
    { type: 'Prepend', prepend: '▁' },
  ];
  return [
    definition,
    ...patterns.map((regex, i) => ({
      ...definition,
      pre_tokenizer: split(regex, ['Isolated', 'Contiguous', 'MergedWithNext'][i % 3]),
    })),
    ...normalizers.map((normalizer) => ({ ...definition, normalizer })),
  ].map(json);
}

const time = '2026-01-02T03:04:05.678Z';
const events = lines([
  { time, type: 'start', steps: 4, rows: 10, validationRows: 2, parameters: 100 },
  { time, type: 'step', step: 1, epoch: 0.25, metrics: { loss: 0.69, 'rewards/margins': 'NaN', grad_norm: 1e-3 } },
  { time, type: 'reference', step: 1, version: 1, update: 'hard', share: 1, distanceBefore: 0.5, distanceAfter: 0 },
  { time, type: 'evaluation', step: 2, metrics: { 'rewards/accuracies': 0.5, 'kl/initial': 0.01 } },
  { time, type: 'samples', step: 2, samples: [{ prompt: 'p', completion: 'c\n"\\' }] },
  { time, type: 'skipped', reason: 'identical pair', file: 'a.jsonl', line: 3, index: 2 },
  { time, type: 'warning', message: 'tau is large' },
  { time, type: 'end', steps: 4, seconds: 1.5 },
]);
const recipe = parseRecipe(
  '{ model: m, method: dpo, reference: { update: hard, tau: 4 }, data: { train: a.jsonl }, seed: 3 }',
  { file: 'recipe.yaml', env: {} },
);
const run = {
  time,
  localTime: '2026-01-02T04:04:05',
  command: ['reanchor'],
  recipe,
  seed: 3,
  versions: { reanchor: '0.1.0', node: '20', torch: '2' },
  machine: { platform: 'linux', arch: 'x64', cpu: 'c', cpus: 2, memory: 1 },
};
const pair = {
  model: 'a',
  other: 'b',
  n: 2,
  wins: 1,
  ties: 0,
  losses: 1,
  winRate: 0.5,
  bootstrap: { low: 0, high: 1 },
};
const winrate = {
  evaluation: 'winrate',
  settings: { model: 'j', templates: { helpful: '1' } },
  names: ['a', 'b'],
  pairs: [
    {
      ...pair,
      rows: [
        { prompt: 'p', answer: 'x', other: 'y', outcome: 'win', agree: true, verdicts: [{ label: 'A', text: 't' }] },
      ],
    },
  ],
};
const annotation = (i: number) => ({
  instruction: `i${i}`,
  output_1: 'base',
  output_2: 'model',
  generator_1: 'b',
  generator_2: 'm',
  preference: 1.25,
});
const logprobs = {
  content: [
    {
      token: 'm',
      logprob: -0.1,
      top_logprobs: [
        { token: 'm', logprob: -0.1 },
        { token: 'M', logprob: -2.5 },
      ],
    },
  ],
};
const reply = (content: string) =>
  json({
    id: 'x',
    model: 'j',
    choices: [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', content }, logprobs }],
    usage: { total_tokens: 12 },
  });
const replies = [
  'm',
  'Comparison: both.\n**Winner: A**',
  '<think>a</think>\nMy final verdict is: [[A>>B]]',
  'coherence: 7\ncorrectness: 8/10\n**helpfulness**: 9\nharmlessness: 10\ndetail: 3',
  '{"coherence": 7, "correctness": 1, "helpfulness": 2, "harmlessness": 3, "detail": 4}',
];
const oid = 'a'.repeat(40);

/** The templates, statements and expressions of the vectors of Jinja2. */
function jinjaSources(): string[] {
  const read = (name: string): unknown => JSON.parse(fixture(`jinja/${name}.json`).toString());
  const { templates } = read('chats') as { templates: { source: string }[] };
  const { statements } = read('statements') as { statements: { source: string }[] };
  const { expressions } = read('expressions') as { expressions: { expression: string }[] };
  const lots = Array.from({ length: Math.ceil(expressions.length / 20) }, (_, i) =>
    expressions.slice(20 * i, 20 * i + 20),
  );
  return [
    ...[...templates, ...statements].map(({ source }) => source),
    ...lots.map((lot) => lot.map(({ expression }) => `{{ (${expression}) if messages }}`).join('\n')),
  ];
}

const chatTemplates = (): Buffer[] => [
  ...jinjaSources().map((source) => Buffer.from(source)),
  ...Object.values(builtInTemplates).map(({ source }) => Buffer.from(source)),
  ...Object.values(
    (JSON.parse(fixture('chat/vectors.json').toString()) as { templates: Record<string, string> }).templates,
  ).map((text) => Buffer.from(text)),
  ...[
    '{% macro m(x) %}{{ x }}{{ m(x) }}{% endmacro %}{{ m(1) }}',
    '{% set ns = namespace(a="x") %}{% for i in range(60000) %}{% set ns.a = ns.a ~ ns.a %}{% endfor %}{{ ns.a }}',
    '{% set ns = namespace(a=[1]) %}{% for i in range(50) %}{% set ns.a = [ns.a, ns.a] %}{% endfor %}{{ ns.a }}',
    '{% for a in range(60000) %}{% for b in range(60000) %}{% endfor %}{% endfor %}',
    '{{ messages | map(attribute="content") | join(", ") | upper | replace("A", "B") }}{{ messages | tojson(indent=2) }}',
    '{%- for m in messages if m.role == "user" -%}{{ loop.index0 }}{{ m["content"].split(" ")[::-1] | list | length }}{%- else -%}none{%- endfor -%}',
    '{% if messages[0].role is defined and not messages[0].content is none %}{{ strftime_now("%d %b %Y") }}{% endif %}{{ "x" | indent(4, true) }}',
  ].map((text) => Buffer.from(text)),
];

/** The inputs by reader. */
export const wholeInputs: Readonly<Record<string, () => Buffer[]>> = {
  safetensors: () => [
    safetensors(),
    fixture('models/llama3-untied/model-00004-of-00005.safetensors'),
    ...[real('models/stories260K/model.safetensors')?.subarray(0, 9000)].filter((bytes) => bytes !== undefined),
  ],
  index: () => [
    fixture('models/llama3-untied/model.safetensors.index.json'),
    json({ weight_map: { a: '../../../etc/passwd', b: '/etc/passwd' } }),
  ],
  jsonl: () => [pairs, chats, lines([1, 'a', null, [], {}])],
  gzip: () => [pairs, chats, Buffer.alloc(100_000, 10), Buffer.alloc(100_000, 0x5b)].map((bytes) => gzipSync(bytes)),
  json: () => [
    json([{ prompt: 'a', completion: 'b' }]),
    gzipSync(json([{ prompt: 'a' }])),
    ...realRows('eval/alpaca_eval/reference-outputs-gpt4_1106_preview.json.gz', 2),
  ],
  rows: () => [
    pairs,
    chats,
    ...[
      'preference/hh-helpful-base.jsonl.gz',
      'preference/rmb-pairwise.jsonl.gz',
      'preference/dpo-demo-sharegpt.jsonl.gz',
      'preference/webgpt-comparisons.jsonl.gz',
      'preference/ultrafeedback-1000.jsonl.gz',
      'preference/kto-mix-test.jsonl.gz',
      'summarization/tldr-samples.jsonl.gz',
    ].flatMap((path) => realRows(path, 2)),
  ],
  parquet: () => readdirSync(join(fixtures, 'parquet')).map((name) => fixture(`parquet/${name}`)),
  csv: () => [
    Buffer.from('index,instruction_difficulty\n0,0.5\n1,"-1"\n2,1\n'),
    Buffer.from('prompt,chosen,rejected,score\n"p, q","a ""b""\nc",d,1.5\np,x,y,\n'),
    ...[real('eval/alpaca_eval/lc-expected.csv')].filter((bytes) => bytes !== undefined),
  ],
  tsv: () => [Buffer.from('prompt\tchosen\trejected\np\t"a\tb"\tc\n'), Buffer.from('text\tlabel\r\nx y\t1\r\n\t0\r\n')],
  card: () => [
    Buffer.from(
      '---\nlicense: mit\nconfigs:\n- config_name: en\n  default: true\n  data_files:\n  - split: train\n    path:\n    - "en/*.json"\n    - data/train-*\n- config_name: "de"\n  data_dir: ./de/\n---\n# Rows\n',
    ),
    Buffer.from('---\nconfigs:\n- {config_name: default, data_files: "**/[a-z]*.jsonl"}\n---\n'),
    Buffer.from('# A data set without YAML\n'),
  ],
  tokenizer: () => [
    ...tokenizers(),
    ...[
      'tokenizers/gpt-neox/tokenizer.json.gz',
      'tokenizers/gpt2/tokenizer.json.gz',
      'models/stories260K/tokenizer.json',
    ]
      .flatMap((path) => real(path) ?? [])
      .map((bytes) => smallTokenizer(bytes, 600)),
  ],
  'tokenizer-config': () => [
    fixture('tokenizer/tokenizer_config.json'),
    json({
      chat_template: [
        { name: 'default', template: '{{ messages }}' },
        { name: 'x', template: 'y' },
      ],
      eos_token: { content: '</s>' },
    }),
    json({
      tokenizer_class: 'Qwen2TokenizerFast',
      add_prefix_space: true,
      pad_token: '[PAD]',
      additional_special_tokens: ['<new>'],
      extra_special_tokens: { image_token: '<image>' },
    }),
  ],
  template: chatTemplates,
  recipe: () => [
    Buffer.from('model: m\nmethod: dpo\ndata: { train: a.jsonl, maxLength: 96 }\n'),
    Buffer.from(
      'model: a/b@main # x\nmethod: kto\nloss: { beta: 0.2, desirableWeight: 1.5 }\nreference: { update: mixed, alpha: 0.5, tau: 8 }\ndata:\n  train: [a.jsonl, b.jsonl]\n  validation: 16\nbatch: { size: 8 }\noptimizer: { lr: 1.0e-6, betas: [0.9, 0.95] }\nsteps: 10\nevaluate: { every: 4 }\n',
    ),
    ...['hh-dpo.yaml', 'shuffled-answers.yaml', 'paper/pythia-12b-hh-dpo.yaml'].map((name) =>
      readFileSync(join(repositoryRoot, 'recipes', name)),
    ),
    Buffer.from(
      '{ model: m, method: [dpo], reference: { update: hard, tau: 4 }, data: { train: [a, b] }, extends: x.yaml }',
    ),
    Buffer.from(
      // biome-ignore lint/suspicious/noTemplateCurlyInString: a placeholder of recipes
      'a: &a [1, 2]\nb: &b [*a, *a, *a]\nmodel: ${HOME}\nc: !!binary aGk=\nd: !<tag:yaml.org,2002:js/function> "x"\n? {e: f}\n: |\n  g\n',
    ),
  ],
  events: () => [events],
  run: () => [json(run), json({ ...run, localTime: undefined })],
  results: () => [json(winrate)],
  hub: () => [
    json({
      sha: oid,
      tree: [
        { type: 'file', oid, size: 3, path: 'config.json' },
        { type: 'file', oid, size: 9, path: 'a/b.safetensors', lfs: { oid: 'b'.repeat(64), size: 9, pointerSize: 1 } },
        { type: 'directory', oid, size: 0, path: 'a' },
      ],
      link: '',
      status: 200,
    }),
  ],
  config: () =>
    ['llama-tiny', 'llama3-untied', 'gpt-neox-parallel', 'qwen2'].map((name) => fixture(`models/${name}/config.json`)),
  generation: () => [json({ eos_token_id: [1, 2], bos_token_id: 0 })],
  annotations: () => [
    json([0, 1, 2].map(annotation)),
    ...realRows('eval/alpaca_eval/annotations-vicuna-7b.json.gz', 3),
  ],
  'lc-inputs': () => [lines([{ model: 'm', n: 3, len_1: [5, 6, 7], len_2: [7, 6, 1], preference: [2, 1.5, 1] }])],
  gamed: () => [json({ S1: 0, S2: 0, lengths: { verbose: { len_1: [5, 6, 7], len_2: [9, 8, 7] } } })],
  arena: () => [
    lines([
      {
        uid: '1',
        category: 'hard_prompt',
        model: 'm',
        baseline: 'b',
        games: [{ score: 'A>B' }, { judgment: { answer: '[[B>A]]' } }],
      },
    ]),
    ...realRows('eval/arena_hard/questions-v2.0.jsonl.gz', 2),
  ],
  answers: () => [
    lines([
      { prompt: 'p', completion: 'c', tokens: 3, finish: 'stop' },
      { instruction: [{ role: 'user', content: 'x' }], output: 'y', generator: 'm' },
    ]),
  ],
  judge: () => [...replies, `m ${secret}`, [...secret].join(' '), Buffer.from(secret).toString('base64')].map(reply),
  terminal: () => [
    Buffer.from('error: r\x1b[31m.yaml \x1b]0;owned\x07 \u009b2J \u202egnp.exe\u2066 \r\n\ta\u2028b\x7f\b'),
    Buffer.from(
      '\x1b]8;;http://me:pw@host/\x1b\\\x1bP$q\x1b\\ \u{1f525}\u200d \u05e9\u05dc\u05d5\u05dd {"a":"\\u001b"}',
    ),
  ],
  journal: () => [lines([{ model: 'm', seed: 1 }, { index: 0 }, { index: 1 }])],
  'template-file': () => [
    Buffer.from('Which? {prompt}\nA {answer_a}\nB {answer_b}'),
    ...['template-alpaca-eval-clf.txt'].flatMap((name) => real(`eval/alpaca_eval/${name}`) ?? []),
  ],
};
