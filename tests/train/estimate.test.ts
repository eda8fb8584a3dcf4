// What `reanchor estimate` says beforehand is what a run takes: steps, updates and tokens exactly, bytes of tensors
// within a few percent. tests/train/estimate.slow.test.ts does the same for the memory of a whole process.
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { memory, resetPeak } from '@reanchor/torch';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { estimateVerb } from '#reanchor/cli/estimate.js';
import { Terminal } from '#reanchor/cli/terminal.js';
import { train } from '#reanchor/driver/index.js';
import { estimateRun, totalMemory } from '#reanchor/estimate/index.js';
import { initModel } from '#reanchor/models/init.js';
import { saveModel } from '#reanchor/models/save.js';
import { parseRecipe } from '#reanchor/recipe/index.js';
import type { RunEvent } from '#reanchor/runs/index.js';
import { fixtures, repositoryRoot } from '../support/repository.js';
import { tinyModel, tinyPairs } from '../support/training.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'reanchor-estimate-'));
});
afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true });
});

/** A model of the kind of one of the fixtures, a little larger and with their tokenizer. */
async function modelFolder(name: string): Promise<string> {
  const configJson = JSON.parse(readFileSync(join(fixtures, 'models', name, 'config.json'), 'utf8'));
  const model = join(folder, name);
  mkdirSync(model);
  using made = initModel({ ...configJson, vocab_size: 512, num_hidden_layers: 3 }, { seed: 1, dtype: 'float32' });
  await saveModel(made, model);
  for (const file of readdirSync(tinyModel).filter((file) => file.includes('token')))
    copyFileSync(join(tinyModel, file), join(model, file));
  return model;
}

const soft = 'reference: { update: soft, alpha: 0.6 }';
const hard = 'reference: { update: hard, tau: 2 }';
const cached = 'reference: { update: hard, tau: 2, storage: cached }';

test.each([
  ['llama-tiny', 'dpo', `${soft}, epochs: 2`],
  ['llama-tiny', 'dpo', `${cached}, steps: 3`],
  ['llama-tiny', 'dpo', `${hard}, steps: 2, batch: { size: 16, tokensPerMicroBatch: 400 }`],
  ['llama-tiny', 'dpo', `${hard}, steps: 2, activationCheckpointing: true, precision: fp64`],
  ['llama-tiny', 'dpo', `${soft}, steps: 1, loss: { type: aot }, batch: { size: 8, tokensPerMicroBatch: 200 }`],
  ['llama-tiny', 'kto', `${soft}, steps: 2, batch: { size: 16 }`],
  ['llama-tiny', 'kto', `${soft}, steps: 2, activationCheckpointing: true, batch: { size: 16 }`],
  ['llama-tiny', 'sft', 'steps: 2, batch: { size: 16 }'],
  ['gpt-neox-parallel', 'dpo', `${soft}, steps: 2`],
  ['gpt-neox-parallel', 'sft', 'steps: 2, activationCheckpointing: true'],
  ['gpt-neox-sequential', 'dpo', `${hard}, steps: 1`],
  ['qwen2', 'dpo', `${soft}, steps: 1`],
  ['qwen3', 'dpo', `${soft}, steps: 1`],
  ['llama-tiny', 'dpo', `${soft}, steps: 2, adapter: { r: 4 }`],
  ['llama-tiny', 'dpo', `${soft}, steps: 2, adapter: { r: 4 }, batch: { size: 16, tokensPerMicroBatch: 200 }`],
  ['llama-tiny', 'dpo', `${hard}, steps: 2, adapter: { type: dora, r: 4 }, activationCheckpointing: true`],
  ['llama-tiny', 'dpo', `${cached}, steps: 3, adapter: { r: 4, targets: [q_proj, v_proj] }`],
  ['llama-tiny', 'kto', `${hard}, steps: 2, adapter: { r: 4, targets: '/.*layers.2.*/' }`],
  ['gpt-neox-parallel', 'dpo', `${soft}, steps: 2, adapter: { r: 4, modulesToSave: [lm_head, embed_in] }`],
  ['gpt-neox-sequential', 'sft', 'steps: 2, adapter: { r: 4, targets: [dense_4h_to_h] }'],
  ['llama-tiny', 'dpo', `${hard}, steps: 2, adapter: { r: 4, dropout: 0.1 }`],
  ['llama-tiny', 'dpo', `${soft}, steps: 2, adapter: { r: 4 }, quantize: nf4, activationCheckpointing: true`],
  ['qwen3', 'dpo', `${soft}, steps: 1, adapter: { r: 4 }, activationCheckpointing: true`],
])('%s, %s, { %s }: as estimated', async (name, method, options) => {
  const recipe = parseRecipe(
    `{ model: ${await modelFolder(name)}, method: ${method}, data: { train: ${tinyPairs}, limit: 24, maxLength: 96 }, ${options} }`,
    { file: 'r.yaml', env: {} },
  );
  const estimate = await estimateRun({ recipe });
  resetPeak();
  const before = memory().tensorBytes;
  const events: RunEvent[] = [];
  await train({ recipe, out: join(folder, 'run'), command: [], onEvent: (event) => events.push(event) });
  const measured = memory().peakTensorBytes - before;

  const start = events.find((event) => event.type === 'start')!;
  expect(estimate.rows).toBe(start.rows);
  const { adapter, model } = estimate;
  expect(adapter?.parameters).toBe(start.trained);
  if (!adapter) expect(model.shape.parameters).toBe(start.parameters);
  expect(estimate.steps).toBe(events.filter(({ type }) => type === 'step').length);
  expect(estimate.updates).toBe(events.filter(({ type }) => type === 'reference').length);
  const last = events.filter((event) => event.type === 'step').at(-1)!;
  expect(estimate.tokens!.packed).toBe(last.metrics.num_tokens);
  expect(estimate.atMost).toBe(false);

  const estimated = totalMemory({ ...estimate.memory, process: 0 });
  expect(Math.abs(estimated / measured - 1), `${estimated} bytes estimated, ${measured} measured`).toBeLessThan(0.06);
});

test('an adapter that is trained on has the form that its folder says, and where it is not there that of a new one', async () => {
  const model = await modelFolder('llama-tiny');
  const recipe = (adapter: string) =>
    parseRecipe(
      `{ model: ${model}, method: dpo, steps: 1, adapter: ${adapter}, data: { train: ${tinyPairs}, limit: 8, maxLength: 96 } }`,
      { file: 'r.yaml', env: {} },
    );
  const made = recipe('{ r: 3, targets: [q_proj, down_proj] }');
  const { final } = await train({ recipe: made, out: join(folder, 'made'), command: [] });
  const form = async (one: ReturnType<typeof recipe>) => {
    const { resumeFrom, ...rest } = (await estimateRun({ recipe: one })).adapter!;
    return { ...rest, isNamed: resumeFrom !== undefined };
  };
  expect(await form(recipe(`{ resumeFrom: ${final} }`))).toEqual({ ...(await form(made)), isNamed: true });
  const unmade = await form(recipe('{ resumeFrom: someone/adapter }'));
  expect(unmade).toEqual({ ...(await form(recipe('{}'))), isNamed: true, isAssumed: true });
});

test('the command names the adapter: what is trained, where, and what it leaves', async () => {
  const set = ['adapter={ r: 8, targets: [q_proj, v_proj] }', 'quantize=nf4-double', 'checkpoint.every=100'];
  const { stdout } = await estimateOf('paper/llama3-8b-base-tr-dpo-soft.yaml', ...set, 'parallel.shard=none');
  expect(stdout).toContain('parameters in bf16, matrices of the blocks in nf4-double: 32 blocks');
  expect(stdout).toMatch(
    /\nadapter +lora of rank 8 on 64 of 224 linear layers: 3,407,872 parameters are trained, 0.042 % of the model\n/,
  );
  expect(stdout).toMatch(/\ndisk +13 MiB of the result, and 2 checkpoints of 91 MiB, 3 at times\n/);
  expect(stdout).toMatch(/\n {2}weights of the base, which the reference shares +5,438 MiB\n {2}adapter +13 MiB\n/);
  expect(stdout).toMatch(/\n {2}reference, products of rank 32 +52 MiB\n/);
  const resumed = 'adapter={ resumeFrom: runs/sft/final }';
  const { stdout: two } = await estimateOn(
    '8',
    'paper/llama3-8b-base-tr-dpo-soft.yaml',
    resumed,
    'parallel.shard=parameters',
  );
  expect(two).toContain('runs/sft/final is not here: the form of a new adapter is assumed');
  expect(two).toMatch(/\n {2}none .*\n {2}parameters .*\n\nsent by each/);
});

test('answers at evaluations are in it: the initial policy that is kept, the passes over prompts and answers', async () => {
  const model = await modelFolder('llama-tiny');
  const recipe = (evaluate: string) =>
    parseRecipe(
      `{ model: ${model}, method: dpo, ${hard}, steps: 4, evaluate: ${evaluate}, data: { train: ${tinyPairs}, limit: 24, maxLength: 96, validation: 8 }, batch: { size: 8 } }`,
      { file: 'r.yaml', env: {} },
    );
  const peakOf = async (name: string, evaluate: string) => {
    resetPeak();
    const before = memory().tensorBytes;
    await train({ recipe: recipe(evaluate), out: join(folder, name), command: [] });
    return memory().peakTensorBytes - before;
  };
  const generate = '{ every: 2, generate: { prompts: 3, samples: 2, maxNewTokens: 5 } }';
  const [plain, answering] = [
    await estimateRun({ recipe: recipe('{ every: 2 }') }),
    await estimateRun({ recipe: recipe(generate) }),
  ];
  const { parameters } = plain.model.shape;
  expect(totalMemory(answering.memory) - totalMemory(plain.memory)).toBe(4 * parameters);
  const measured = (await peakOf('answering', generate)) - (await peakOf('plain', '{ every: 2 }'));
  expect(Math.abs(measured / (4 * parameters) - 1)).toBeLessThan(0.15);
  expect(plain.flops.answers).toBe(0);
  expect({ ...answering.flops, answers: 0 }).toEqual(plain.flops);
  // A pass to write them, and four more for each of two anchors.
  const lengths = await estimateRun({
    recipe: recipe(generate.replace('maxNewTokens', 'metrics: [length], maxNewTokens')),
  });
  expect(answering.flops.answers / lengths.flops.answers).toBeCloseTo(9, 9);
  expect(totalMemory(lengths.memory)).toBe(totalMemory(plain.memory));
  const twice = await estimateRun({ recipe: recipe(generate.replace('prompts: 3', 'prompts: 6')) });
  expect(twice.flops.answers).toBeGreaterThan(1.5 * answering.flops.answers);
});

test('answers of a recipe whose rows are not at hand are assumed, and named', async () => {
  const set = ['evaluate={ every: 100, generate: { prompts: 8, maxNewTokens: 64 } }', 'data.validation=100'];
  const { stdout } = await estimateOf('paper/pythia-2.8b-hh-tr-dpo-hard.yaml', ...set);
  expect(stdout).toMatch(/initial policy, for the KL of answers +5,293 MiB/);
  expect(stdout).toMatch(/answers at evaluations, at most +\d\.\d+e\+\d+/);
});

/** What the command prints for a recipe of the repository, from an empty folder: neither models nor rows are there. */
async function estimateOf(name: string, ...set: string[]) {
  return estimateOn('1', name, ...set);
}

async function estimateOn(processes: string, name: string, ...set: string[]) {
  const written = { stdout: '', stderr: '' };
  const terminal = new Terminal({
    stdout: { write: (text) => (written.stdout += text) },
    stderr: { write: (text) => (written.stderr += text) },
    env: {},
  });
  await estimateVerb(join(repositoryRoot, 'recipes', name), { set, processes }, terminal);
  return written;
}

const recipes = readdirSync(join(repositoryRoot, 'recipes'), { recursive: true, encoding: 'utf8' }).filter(
  (name) => name.endsWith('.yaml') && !/parts\/|study\//.test(name),
);

test('every recipe of the repository can be estimated with neither weights nor rows at hand', async () => {
  vi.stubEnv('REANCHOR_DATA', undefined);
  vi.stubEnv('REANCHOR_SOURCES', undefined);
  expect(recipes.length).toBeGreaterThan(70);
  for (const name of recipes) {
    const { stdout, stderr } = await estimateOf(name);
    expect(stdout, name).toMatch(
      /^model .* parameters in (fp32|bf16|bf16-params)(, matrices of the blocks in nf4-double)?: \d+ blocks/,
    );
    expect(stdout, name).toMatch(/is not here: the shape is that of \S+ as published/);
    expect(stdout, name).toMatch(/\n {2}total +[\d.,]+ [MG]iB\n/);
    expect(stdout, name).not.toMatch(/NaN|undefined|Infinity/);
    // The paper's alpha has no cap: that is told where the steps are known, and nothing else.
    const isTold = name.endsWith('-soft.yaml') && !/^steps +unknown/m.test(stdout);
    expect(stderr, name).toMatch(isTold ? /^warning: reference\.alpha is 0\.6 and nothing stops it.*\n$/ : /^$/);
  }
}, 120_000);

test.each(['llama3-8b-base-tr-dpo-soft', 'pythia-12b-hh-kto', 'pythia-2.8b-hh-sft'])(
  '%s on 8 processes: a table of all modes, links, and what 8, 64 and 1,024 processes do',
  async (name) => {
    const { stdout } = await estimateOn('8', `paper/${name}.yaml`);
    for (const shard of ['none', 'optimizer', 'gradients', 'parameters'])
      expect(stdout).toMatch(new RegExp(`\\n {2}${shard}( +[\\d.,]+ [KMG]iB){9}\\n`));
    expect(stdout.match(/\n {2}--link \w+ \(.*, \d+ GB\/s\): [\d.]+ s beside [\d.]+ s of computing/g)).toHaveLength(5);
    expect(stdout).toMatch(/\n {2}8 +16 +\d .*\n {2}64 +2 +1 .*\n {2}1,024 \(refused\) +0 to 1 +1 /);
    expect(stdout).toContain('a step of 128 rows feeds 128 processes at most');
    expect(stdout).not.toMatch(/NaN|undefined|Infinity/);
  },
);

test('a link of one process, or one that nobody knows, is an error', async () => {
  const terminal = new Terminal({ stdout: { write: () => {} }, stderr: { write: () => {} }, env: {} });
  const file = join(repositoryRoot, 'recipes/paper/pythia-2.8b-hh-sft.yaml');
  await expect(estimateVerb(file, { set: [], link: 'pcie' }, terminal)).rejects.toThrow(
    '--link has no effect: one process',
  );
  await expect(estimateVerb(file, { set: [], processes: '8', link: 'token-ring' }, terminal)).rejects.toThrow(
    /--link: "token-ring" is not allowed; nvlink, nvlink4, pcie, 200gbit, 400gbit are/,
  );
});

test("the paper's numbers: UltraFeedback has at most 478 steps, in which tau = 512 is no update, and that is said", async () => {
  const { stdout, stderr } = await estimateOf('paper/llama3-8b-base-tr-dpo-hard.yaml', 'reference.tau=512');
  expect(stdout).toContain('8,030,261,248 parameters');
  expect(stdout).toMatch(/steps +at most 478, 1 epoch of 128 rows a step/);
  expect(stdout).toMatch(/updates +at most 0 of the reference/);
  expect(stderr).toMatch(/^warning: reference.tau is 512 and the run has 478 steps: the reference never moves/);
  const hh = await estimateOf('paper/pythia-2.8b-hh-tr-dpo-hard.yaml');
  expect(hh.stdout).toMatch(/steps +at most 1,257.*\nupdates +at most 2 /);
  const tldr = await estimateOf('paper/pythia-2.8b-tldr-tr-dpo-hard.yaml');
  expect(tldr.stdout).toMatch(/rows +unknown: .* not published\nsteps +unknown/);
});

test('a model whose shape nobody knows is an error that names those that are known', async () => {
  await expect(estimateOf('hh-dpo.yaml', 'model=somewhere/else')).rejects.toThrow(
    /somewhere\/else\/config.json does not exist, .* EleutherAI\/pythia-70m, /,
  );
});

test('rows at hand are counted where the tokenizer is missing', async () => {
  const set = [`data.train=${tinyPairs}`, 'data.validation=null', 'evaluate=null'];
  const { stdout } = await estimateOf('hh-tr-dpo-soft.yaml', 'model=EleutherAI/pythia-70m', ...set);
  expect(stdout).toMatch(/rows +at most 96: counted, and not tokenised/);
  expect(stdout).toMatch(/steps +at most 6, 1 epoch of 16 rows a step\nupdates +at most 6 /);
});
