import { UsageError } from '../errors.js';
import type { AdapterSummary, LinkName, ModelFiles, RunEstimate } from '../estimate/index.js';
import type { Recipe } from '../recipe/index.js';
import { modelsNamed } from '../recipe/index.js';
import { estimateProcesses } from './estimate-processes.js';
import { choiceFlag, numberFlag } from './flags.js';
import { bytesText, countOf, number } from './progress.js';
import { recipeFor } from './recipe.js';
import { type Terminal, table } from './terminal.js';

/** The flags of `estimate` as commander gives them. */
export interface EstimateFlags {
  set: string[];
  processes?: string | undefined;
  link?: string | undefined;
  json?: boolean | undefined;
}

/** `reanchor estimate RECIPE`: what a run will take, from its recipe and what is at hand of model and rows. */
export async function estimateVerb(
  recipeFile: string,
  { set, processes: count = '1', link, json }: EstimateFlags,
  terminal: Terminal,
): Promise<void> {
  const processes = numberFlag('--processes', count, { integer: true, min: 1, max: 4096 });
  if (link !== undefined && processes === 1) throw new UsageError('--link has no effect: one process sends nothing');
  const recipe = recipeFor(terminal, recipeFile, { set, env: lenient(process.env) });
  // A model that another run has yet to make has the shape of the one that this run begins with.
  const modelsOfSameShape = set.some((item) => item.startsWith('model=')) ? [] : modelsNamed(recipeFile);
  const { estimateRun, flopsFormula, links, totalMemory } = await import('../estimate/index.js');
  const linkNames = Object.keys(links) as LinkName[];
  const named = link === undefined ? linkNames : [choiceFlag('--link', link, linkNames)];
  const otherProcesses = processes === 1 ? [] : [8, 64, 1024];
  const estimate = await estimateRun({ recipe, processes, otherProcesses, modelsOfSameShape });
  for (const warning of estimate.warnings) terminal.note(`${terminal.colors.yellow('warning:')} ${warning}`);
  if (json) {
    terminal.result(JSON.stringify({ ...estimate, memoryTotal: totalMemory(estimate.memory), flopsFormula }, null, 2));
    return;
  }
  const total = totalMemory(estimate.memory);
  for (const line of table(overview(recipe, estimate), 'left')) terminal.result(line);
  terminal.result('');
  const { rows, tokens, scored } = estimate.microBatch;
  const given = estimate.isAssumed
    ? `assumed: ${number(recipe.data.maxLength)} tokens each, half of them prompt`
    : 'the largest';
  terminal.result(
    `memory ${processes === 1 ? '' : `of each of ${processes} processes `}at its peak, with a micro-batch of ${countOf(rows, 'row')}, ${number(tokens)} packed tokens, ${number(scored)} scored (${given})`,
  );
  for (const line of table(memoryRows(recipe, estimate, total))) terminal.result(`  ${line}`);
  if (estimate.mainMemory > 0)
    terminal.result(`  in main memory, by parallel.offload: ${bytesText(estimate.mainMemory)}`);
  const without = recipe.activationCheckpointing ? 'without' : 'with';
  terminal.result(`  ${without} activationCheckpointing: ${bytesText(estimate.otherCheckpointing)} in all`);
  const { chunk, gradients } = estimate.head;
  terminal.result(`  the head alone: a chunk of logits ${bytesText(chunk)}, gradients ${bytesText(gradients)}`);
  if (processes > 1)
    for (const line of estimateProcesses(recipe, estimate, await import('../estimate/index.js'), named))
      terminal.result(line);
  terminal.result('');
  terminal.result(`FLOPs of ${estimate.steps === undefined ? 'a step' : 'the run'}`);
  for (const line of table(flopsRows(estimate))) terminal.result(`  ${line}`);
  terminal.result(`  ${flopsFormula}`);
}

/** The environment, in which a name that is not set stands for itself: what it would lead to is not needed. */
function lenient(env: Readonly<Record<string, string | undefined>>): Readonly<Record<string, string | undefined>> {
  return new Proxy(env, { get: (given, name) => given[String(name)] || `\${${String(name)}}` });
}

function overview(recipe: Recipe, estimate: RunEstimate): string[][] {
  const { model, adapter, rows, rowsFrom, steps, updates, atMost, tokens, files } = estimate;
  const { shape, shapeFrom, name } = model;
  const most = atMost ? 'at most ' : '';
  const rowsText = {
    reading: `${number(rows ?? 0)} that are trained on`,
    counting: `at most ${number(rows ?? 0)}: counted, and not tokenised, since ${name} has no tokenizer here`,
    publication: `at most ${number(rows ?? 0)}, as published: they are not here`,
    nothing: 'unknown: they are not here, and their number is not published',
  }[rowsFrom];
  const whole =
    recipe.steps === undefined
      ? `${countOf(recipe.epochs, 'epoch')} of ${recipe.batch.size} rows a step`
      : 'as the recipe says';
  const length = recipe.stop === undefined ? whole : `${whole}; stop (${recipe.stop.metric}) may end the run earlier`;
  return [
    [
      'model',
      `${number(shape.parameters)} parameters in ${recipe.precision}${quantizedText(adapter)}: ${shape.layers} blocks of width ${shape.block.width}, vocabulary ${number(shape.vocabulary)}`,
    ],
    [
      '',
      shapeFrom.endsWith('config.json')
        ? `as ${shapeFrom} says`
        : `${name} is not here: the shape is that of ${shapeFrom} as published`,
    ],
    ...(adapter ? adapterRows(adapter, shape.parameters) : []),
    ['rows', rowsText],
    ['steps', steps === undefined ? 'unknown without the rows' : `${most}${number(steps)}, ${length}`],
    ['updates', updatesText(recipe, steps, updates, most)],
    [
      'tokens',
      tokens ? `${number(tokens.packed)} packed, ${number(tokens.scored)} of them scored` : 'unknown without the rows',
    ],
    ...(files ? [['disk', diskText(files)]] : []),
  ];
}

const quantizedText = (adapter: AdapterSummary | undefined) =>
  adapter?.quantize === undefined ? '' : `, matrices of the blocks in ${adapter.quantize}`;

function adapterRows(adapter: AdapterSummary, modelParameters: number): string[][] {
  const { type, ranks, layers, linearLayers, parameters, whole, resumeFrom, isAssumed } = adapter;
  const share = Number(((100 * parameters) / modelParameters).toPrecision(2));
  const form = `${type} of rank ${spanText(ranks)} on ${number(layers)} of ${countOf(linearLayers, 'linear layer')}`;
  return [
    ['adapter', `${form}: ${number(parameters)} parameters are trained, ${share} % of the model`],
    ...(whole.length > 0 ? [['', `whole: ${whole.join(', ')}`]] : []),
    ...(resumeFrom === undefined ? [] : [['', resumedText(resumeFrom, isAssumed)]]),
  ];
}

const resumedText = (folder: string, isAssumed: boolean) =>
  isAssumed ? `${folder} is not here: the form of a new adapter is assumed` : `as ${folder} says`;

const spanText = (ranks: readonly number[]) =>
  ranks.length === 1 ? String(ranks[0]) : `${ranks[0]} to ${ranks.at(-1)}`;

function diskText({ final, checkpoint, checkpoints, mostCheckpoints }: ModelFiles): string {
  const timed = `and checkpoints by time, of ${bytesText(checkpoint)} each`;
  if (checkpoints === undefined) return `${bytesText(final)} of the result, ${timed}`;
  if (checkpoints === 0) return `${bytesText(final)} of the result`;
  const passing = mostCheckpoints > checkpoints ? `, ${mostCheckpoints} at times` : '';
  return `${bytesText(final)} of the result, and ${countOf(checkpoints, 'checkpoint')} of ${bytesText(checkpoint)}${passing}`;
}

function updatesText(
  { method, reference }: Recipe,
  steps: number | undefined,
  updates: number | undefined,
  most: string,
): string {
  if (method === 'sft') return 'none: SFT has no reference';
  switch (reference.update) {
    case 'fixed':
      return 'none: the reference is fixed';
    case 'plateau':
      return `whenever the ${reference.metric} stalls, which nobody can foresee`;
    default: {
      const rule =
        'tau' in reference
          ? `${reference.update}, tau ${reference.tau}`
          : `${reference.update}, alpha ${reference.alpha}`;
      return steps === undefined
        ? `unknown without the rows (${rule})`
        : `${most}${number(updates!)} of the reference (${rule})`;
    }
  }
}

function memoryRows(recipe: Recipe, estimate: RunEstimate, total: number): string[][] {
  const { reference, method } = recipe;
  const { memory, adapter, isAssumed } = estimate;
  const products =
    adapter && adapter.referenceRanks.join() !== adapter.ranks.join()
      ? `, products of rank ${spanText(adapter.referenceRanks)}`
      : '';
  const trained: [string, number][] = adapter ? [['adapter', memory.adapter]] : [];
  const cached = method !== 'sft' && reference.storage === 'cached' ? ' (cached: no second model)' : '';
  const initial: [string, number][] =
    memory.initial > 0 ? [['initial policy, for the KL of answers', memory.initial]] : [];
  const rows: [string, number][] = [
    [
      adapter ? `weights of the base${memory.reference > 0 ? ', which the reference shares' : ''}` : 'weights',
      memory.weights,
    ],
    ...trained,
    ['gradients there at that moment', memory.gradients],
    ['AdamW, two moments', memory.optimizer],
    [`reference${method === 'sft' ? ' (SFT: none)' : cached || products}`, memory.reference],
    ...initial,
    ['activations kept for the backward pass', memory.activations],
    [`workspace, of the head or of a block${adapter ? ', or of the average of adapters' : ''}`, memory.workspace],
    [isAssumed ? 'Node.js, libtorch; the rows come on top' : 'Node.js, libtorch, rows', memory.process],
    ['total', total],
  ];
  return rows.map(([name, bytes]) => [name, bytesText(bytes)]);
}

function flopsRows({ flops, processes, isAssumed }: RunEstimate): string[][] {
  const all = Object.values(flops).reduce((sum, value) => sum + value, 0);
  const hours = all / 1e12 / 3600 / processes;
  const rows: [string, number][] = [
    ['forward', flops.forward],
    ['backward', flops.backward],
    ['blocks computed again', flops.recomputation],
    ['reference, forward', flops.reference],
    ['other forward passes', flops.other],
    ['answers at evaluations, at most', flops.answers],
    ['total', all],
  ];
  return [
    ...rows
      .filter(([name, value]) => value > 0 || name === 'total')
      .map(([name, value]) => [name, value.toExponential(3)]),
    [
      `hours at 1 TFLOP/s${processes > 1 ? ' a process' : ''}${isAssumed ? ', rows as assumed above' : ''}`,
      hours < 10 ? hours.toPrecision(2) : number(Math.round(hours)),
    ],
  ];
}
