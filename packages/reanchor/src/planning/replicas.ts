import { UserError } from '../errors.js';
import type { Recipe } from '../recipe/index.js';

/** Errors: UserError where so many processes cannot be divided into the replicas of a recipe. */
export function requireReplicas({ parallel: { replicas } }: Pick<Recipe, 'parallel'>, processes: number): void {
  if (processes % replicas === 0) return;
  const found = processes === 1 ? 'there is 1 process' : `the ${processes} processes cannot be divided by it`;
  throw new UserError(`parallel.replicas is ${replicas}, and ${found}: each replica has equally many`);
}
