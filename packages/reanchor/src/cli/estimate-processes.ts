/** What `reanchor estimate` says of a run on several processes. */
import type { LinkName, ModeEstimate, RankShare, RunEstimate, WorldEstimate } from '../estimate/index.js';
import type { Recipe } from '../recipe/index.js';
import { bytesText, countOf, number } from './progress.js';
import { table } from './terminal.js';

type Estimating = typeof import('../estimate/index.js');

/** The lines, of these links. */
export function estimateProcesses(
  recipe: Recipe,
  estimate: RunEstimate,
  estimating: Estimating,
  links: readonly LinkName[],
): string[] {
  const { processes, shard, worlds } = estimate;
  const [world, ...others] = worlds as [WorldEstimate, ...WorldEstimate[]];
  const mode = estimating.modeOf(world, shard);
  const simulated = [world, ...others].sort((a, b) => a.processes - b.processes);
  return [
    '',
    `each of ${processes} processes, by parallel.shard (this recipe: ${shard})`,
    ...indented(table(modeRows(world, estimating))),
    '',
    `sent by each process in a step, with ${shard}`,
    ...indented(table(sentRows(mode, estimating))),
    ...indented(timeLines(recipe, world, mode, estimating, links)),
    '',
    'simulated, without devices: the plan and the division of this recipe on so many processes',
    ...indented(table(simulated.map((one) => worldRow(recipe, one, shard, estimating)).toSpliced(0, 0, worldHead))),
    ...indented(limitLines(recipe, estimate)),
  ];
}

const indented = (lines: readonly string[]) => lines.map((line) => `  ${line}`);

function modeRows({ modes }: WorldEstimate, { totalMemory, totalSent }: Estimating): string[][] {
  const head = ['', 'weights', 'gradients', 'AdamW', 'reference', 'activations', 'workspace', 'total'];
  return [
    [...head, 'between steps', 'sent a step'],
    ...modes.map(({ shard, memory, held, sent }) => {
      const { weights, adapter, gradients, optimizer, reference, activations, workspace } = memory;
      const parts = [weights + adapter, gradients, optimizer, reference, activations, workspace, totalMemory(memory)];
      return [shard, ...[...parts, held, totalSent(sent)].map(bytesText)];
    }),
  ];
}

function sentRows({ sent }: ModeEstimate, { totalSent }: Estimating): string[][] {
  return [
    ['to sum gradients', bytesText(sent.gradients)],
    ["the policy's weights", bytesText(sent.weights)],
    ["the reference's weights", bytesText(sent.reference)],
    ['total', bytesText(totalSent(sent))],
  ];
}

/** How long a step computes and sends, where GPUs reach what is assumed of them. */
function timeLines(
  { precision }: Recipe,
  { flops }: WorldEstimate,
  { sent }: ModeEstimate,
  { links, flopsPerSecond, totalSent }: Estimating,
  named: readonly LinkName[],
): string[] {
  return named.map((link) => {
    const { name, bytesPerSecond, gpu } = links[link];
    const computing = flops / flopsPerSecond(gpu, precision);
    const sending = totalSent(sent) / bytesPerSecond;
    const share = Math.round((100 * sending) / (computing + sending));
    return (
      `--link ${link} (${name}, ${bytesPerSecond / 1e9} GB/s): ${seconds(sending)} beside ${seconds(computing)} of computing ` +
      `at ${100 * gpu.share} % of the peak of an ${gpu.name}: ${share} % of a step, as far as none of it is hidden`
    );
  });
}

const seconds = (value: number) => `${value < 0.095 ? value.toPrecision(1) : value.toPrecision(2)} s`;

const worldHead = ['processes', 'rows a step', 'passes', 'between steps', 'at the peak', 'sent a step', 'waiting'];

function worldRow(recipe: Recipe, world: WorldEstimate, shard: RunEstimate['shard'], estimating: Estimating): string[] {
  const { processes, ranks, flops, meanFlops } = world;
  const of = (part: keyof RankShare, text: (value: number) => string) => {
    const values = ranks.map((rank) => rank[part]);
    const [low, high] = [Math.min(...values), Math.max(...values)].map(text);
    return low === high ? low! : `${low} to ${high}`;
  };
  return [
    `${number(processes)}${processes > recipe.batch.size ? ' (refused)' : ''}`,
    of('rows', number),
    of('passes', number),
    of('held', bytesText),
    of('peak', bytesText),
    bytesText(estimating.totalSent(estimating.modeOf(world, shard).sent)),
    `${Math.round(100 * (1 - meanFlops / flops))} %`,
  ];
}

/** How many processes a step can feed. */
function limitLines({ batch }: Recipe, { worlds, microBatch }: RunEstimate): string[] {
  const feeding = Math.ceil(batch.size / Math.max(1, microBatch.rows));
  const waits = 'waiting: the share of a step in which the mean process waits for the one that computes most';
  return [
    `a step of ${countOf(batch.size, 'row')} feeds ${number(batch.size)} processes at most; beyond ${number(feeding)} micro-batches are smaller than batch allows`,
    ...(worlds.length > 1 ? [waits] : []),
  ];
}
