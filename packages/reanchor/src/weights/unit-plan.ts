/** How the parameters of a model are divided among processes: arithmetic alone, without libtorch. */
import type { ConfigJson } from '../models/causal-lm.js';
import { networkOf } from '../models/network.js';

/** A parameter in a unit. */
export interface PlannedParameter {
  shape: readonly number[];
  /** Its first element, counted in the unit. */
  at: number;
  numel: number;
}

/** The part of a parameter that a process has. */
export interface PlannedPiece {
  /** The first of its elements, counted in the parameter. */
  from: number;
  numel: number;
  /** Where in the slice it begins. */
  at: number;
}

/**
 * Parameters that come and go together, one after the other, and of which every process has a slice of equal size: the
 * elements of the unit, in their order, divided by the processes and rounded up.
 */
export class UnitPlan {
  readonly parameters = new Map<string, PlannedParameter>();
  #numel = 0;

  /** Makes room for a parameter. */
  add(name: string, shape: readonly number[]): void {
    const numel = shape.reduce((product, size) => product * size, 1);
    this.parameters.set(name, { shape, at: this.#numel, numel });
    this.#numel += numel;
  }

  /** The elements of all parameters. */
  get numel(): number {
    return this.#numel;
  }

  /** The elements that each of so many processes has; those of the last ones may be padding. */
  sliceNumel(processes: number): number {
    return Math.ceil(this.#numel / processes);
  }

  /** Those of a process that are no padding. */
  ownNumel(processes: number, rank: number): number {
    const count = this.sliceNumel(processes);
    return Math.min(count, Math.max(0, this.#numel - rank * count));
  }

  /** What a process has, by the names of parameters. */
  pieces(processes: number, rank: number): Map<string, PlannedPiece> {
    const count = this.sliceNumel(processes);
    const [low, high] = [rank * count, (rank + 1) * count];
    const pieces = new Map<string, PlannedPiece>();
    for (const [name, { at, numel }] of this.parameters) {
      const [from, to] = [Math.max(low, at), Math.min(high, at + numel)];
      if (from < to) pieces.set(name, { from: from - at, numel: to - from, at: from - low });
    }
    return pieces;
  }
}

/**
 * The units of the network that `configJson` names: what lies around the blocks, then the blocks in their order. No
 * weight is made, and libtorch is not needed. `isDivided` says which parameters are in them; all when left out. Errors:
 * UserError for a network that cannot be built.
 */
export function planUnits(
  configJson: ConfigJson,
  isDivided: (name: string) => boolean = () => true,
): [root: UnitPlan, ...blocks: UnitPlan[]] {
  const units = new Map([[-1, new UnitPlan()]]);
  for (const [name, shape] of networkOf(configJson).parameters) {
    const at = blockOf(name);
    if (!units.has(at)) units.set(at, new UnitPlan());
    if (isDivided(name)) units.get(at)!.add(name, shape);
  }
  const [root, ...blocks] = [...units].sort(([a], [b]) => a - b).map(([, unit]) => unit);
  return [root!, ...blocks];
}

/** The block of a parameter, by the number in its name; -1 for what lies around the blocks. */
export const blockOf = (name: string): number => Number(/\.layers\.(\d+)\./.exec(name)?.[1] ?? -1);
