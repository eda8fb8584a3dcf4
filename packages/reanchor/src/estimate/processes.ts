/** A run on several processes, without one of them: who computes, holds and sends what. */
import { mean, sum } from '../stats/index.js';
import type { UnitPlan } from '../weights/unit-plan.js';
import { type RunPasses, runFlops } from './flops.js';
import { mainMemory, standing } from './holding.js';
import type { OwnedLayout } from './layout.js';
import { stepMemory } from './memory.js';
import { type Division, type MemoryOptions, type MemoryParts, type ShardMode, totalMemory } from './memory-parts.js';
import { type SentBytes, type StepPasses, sentBytes } from './sending.js';

export type RunTraits = Pick<
  RunPasses,
  'storage' | 'capsDivergence' | 'couplesRows' | 'activationCheckpointing' | 'adapter'
> & {
  /** Updates of the reference, a step. */
  updatesPerStep: number;
};

export interface DivisionOptions {
  /** Of one process; `division` is left out. */
  memory: MemoryOptions;
  units: readonly UnitPlan[];
  traits: RunTraits;
  /** What of `parallel` of a recipe is the same in all modes. */
  parallel: Pick<Division, 'replicas' | 'reduceBytes' | 'isOffloaded'>;
}

/** One process of a step. */
export interface RankShare {
  rank: number;
  /** Rows and packed tokens that it computes, those of passes that count nothing apart. */
  rows: number;
  tokens: number;
  passes: number;
  /** Bytes of tensors between steps. */
  held: number;
  /** Bytes at the moment when it holds most. */
  peak: number;
}

/** What a mode of `parallel.shard` takes of each process. */
export interface ModeEstimate {
  shard: ShardMode;
  /** Of the process and the step that hold most. */
  memory: MemoryParts;
  /** The most bytes that a process holds between steps, without those of no tensor. */
  held: number;
  /** Bytes in main memory besides, where `parallel.offload` keeps some there. */
  mainMemory: number;
  /** In a step, the mean of steps. */
  sent: SentBytes;
}

/** A run on so many processes. */
export interface WorldEstimate {
  processes: number;
  /** Of `parallel.shard` of the recipe, or of all of them. */
  modes: ModeEstimate[];
  /** Of the process that computes most, a step, the mean of steps: the others wait for it. */
  flops: number;
  /** The mean of processes and steps. */
  meanFlops: number;
  /** The processes in the first step. */
  ranks: RankShare[];
}

/** What steps take on so many processes, of the modes `told`; of the processes one by one with `shard`. */
export function worldEstimate(
  steps: readonly OwnedLayout[][],
  processes: number,
  shard: ShardMode,
  options: DivisionOptions,
  told: readonly ShardMode[] = [shard],
): WorldEstimate {
  const { memory, units, traits, parallel } = options;
  const dividing = (mode: ShardMode): MemoryOptions => ({
    ...memory,
    division: { ...parallel, shard: mode, processes, units },
  });
  const byRank = steps.map((step) => ownOf(step, processes));
  const modes = told.map((mode) => modeEstimate(byRank, dividing(mode), traits));
  const perStep = byRank.map((own) => own.map((batches) => flopsOf(made(batches, shard), options)));
  return {
    processes,
    modes,
    flops: mean(perStep.map((each) => Math.max(...each))),
    meanFlops: mean(perStep.map(mean)),
    ranks: byRank[0]!.map((batches, rank) => rankShare(batches, rank, dividing(shard))),
  };
}

/** The micro-batches of each process. */
function ownOf(step: readonly OwnedLayout[], processes: number): OwnedLayout[][] {
  const own: OwnedLayout[][] = Array.from({ length: processes }, () => []);
  for (const batch of step) own[batch.owner]!.push(batch);
  return own;
}

/** A mode among those of a world. */
export const modeOf = ({ modes }: WorldEstimate, shard: ShardMode): ModeEstimate =>
  modes.find((mode) => mode.shard === shard)!;

/** The most that a process holds with the other choice of activationCheckpointing. */
export function otherMemory(
  steps: readonly OwnedLayout[][],
  processes: number,
  shard: ShardMode,
  { memory, units, parallel }: DivisionOptions,
): MemoryParts {
  const activationCheckpointing = !memory.activationCheckpointing;
  const options = { ...memory, activationCheckpointing, division: { ...parallel, shard, processes, units } };
  return mostMemory(
    steps.flatMap((step) => ownOf(step, processes)),
    options,
  );
}

function mostMemory(batches: readonly OwnedLayout[][], options: MemoryOptions): MemoryParts {
  const parts = batches.map((own) => peakOf(own, options));
  return parts.reduce((a, b) => (totalMemory(b) > totalMemory(a) ? b : a));
}

function modeEstimate(steps: OwnedLayout[][][], options: MemoryOptions, traits: RunTraits): ModeEstimate {
  const sent = steps.map((own) => sentBytes(passesOf(own, traits), options));
  const partMean = (part: keyof SentBytes) => mean(sent.map((one) => one[part]));
  return {
    shard: options.division!.shard,
    memory: mostMemory(steps.flat(), options),
    held: heldOf(options, 0),
    mainMemory: mainMemory(options),
    sent: { gradients: partMean('gradients'), weights: partMean('weights'), reference: partMean('reference') },
  };
}

function peakOf(batches: readonly OwnedLayout[], options: MemoryOptions): MemoryParts {
  const passes = made(batches, options.division!.shard);
  return passes.length === 0 ? standing(options) : stepMemory(passes, options);
}

/** Where nothing is divided a process makes no passes that count nothing. */
const made = (batches: readonly OwnedLayout[], shard: ShardMode) =>
  shard === 'none' ? batches.filter(({ isFiller }) => !isFiller) : batches;

const heldOf = (options: MemoryOptions, rank: number) => totalMemory({ ...standing(options, rank), process: 0 });

function passesOf(own: readonly OwnedLayout[][], traits: RunTraits): StepPasses {
  const { storage, capsDivergence, couplesRows, updatesPerStep } = traits;
  const trained = Math.max(...own.map((batches) => batches.length));
  const coupled = couplesRows && own.flat().filter(({ isFiller }) => !isFiller).length > 1;
  const hasPartners = own.flat().some(({ partners }) => partners !== undefined);
  const isCached = storage === 'cached';
  const extra = [coupled, hasPartners, isCached, capsDivergence].filter(Boolean).length;
  return {
    trained,
    forward: extra * trained,
    reference: storage === 'copy' ? trained : 0,
    updates: updatesPerStep,
  };
}

function rankShare(batches: readonly OwnedLayout[], rank: number, options: MemoryOptions): RankShare {
  const counted = batches.filter(({ isFiller }) => !isFiller);
  return {
    rank,
    rows: sum(counted.map(({ rows }) => rows)),
    tokens: sum(counted.map(({ policy }) => policy.tokens)),
    passes: made(batches, options.division!.shard).length,
    held: heldOf(options, rank),
    peak: totalMemory(peakOf(batches, options)),
  };
}

/** The FLOPs of a process in a step, passes that count nothing included. */
function flopsOf(batches: readonly OwnedLayout[], { memory, traits }: DivisionOptions): number {
  const run: RunPasses = {
    ...traits,
    ...{ steps: [[...batches]], repeats: 1, updates: new Set(), stepsPerEpoch: Number.POSITIVE_INFINITY },
    ...{ validation: [], evaluations: 0 },
  };
  return sum(Object.values(runFlops(memory.shape, run)));
}
