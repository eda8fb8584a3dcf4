import { isOutOfMemory, UserError } from '../errors.js';
import type { Recipe } from '../recipe/index.js';
import { checkpointSizes, type RunFolder } from '../runs/index.js';
import { resumeFlag, resumeHint } from './resume-hint.js';

/** An error of a run with what to do about it, where it is a full disk or too little memory; others as they are. */
export function explainFault(
  error: unknown,
  { recipe, command }: { recipe: Recipe; command?: readonly string[] | undefined },
  folder: RunFolder | undefined,
): unknown {
  if (!(error instanceof Error)) return error;
  const saved = folder === undefined ? [] : savedIn(folder);
  if (isDiskFull(error)) {
    if (saved.length === 0) return error;
    const list = saved.map(({ name, bytes }) => `${name} ${(bytes / 1e6).toFixed(1)} MB`).join(', ');
    return new UserError(
      `${error.message}. The checkpoints in ${folder!.checkpoints} take: ${list}; all of them are whole, and the newest is enough to go on: free some space and ${resumeHint(command)}`,
      { cause: error },
    );
  }
  if (isOutOfMemory(error)) {
    const resume = saved.length > 0 ? `, and go on from the last checkpoint with ${resumeFlag(command)}` : '';
    return new UserError(
      `there is not enough memory for this run: ${memoryAdvice(recipe).join('; ')}${resume}. reanchor estimate says what a recipe takes. (${error.message.split('\n')[0]})`,
      { cause: error },
    );
  }
  return error;
}

/** The checkpoints of a run; none where its disk does not answer. */
function savedIn({ checkpoints }: RunFolder): { name: string; bytes: number }[] {
  try {
    return checkpointSizes(checkpoints);
  } catch {
    return [];
  }
}

/** What a recipe can do to take less memory, the least harmful first. */
function memoryAdvice({ batch, activationCheckpointing, reference, method }: Recipe): string[] {
  const isCachable =
    reference.update === 'fixed' || (reference.update === 'hard' && reference.maxDivergence === undefined);
  return [
    `lower batch.tokensPerMicroBatch (${batch.tokensPerMicroBatch})`,
    ...(activationCheckpointing ? [] : ['set activationCheckpointing to true']),
    ...(method !== 'sft' && reference.storage !== 'cached' && isCachable
      ? ['set reference.storage to cached, which needs a run of its own']
      : []),
  ];
}

/** Whether it is, or was caused by, a write that found no room. */
export function isDiskFull(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOSPC' || code === 'EDQUOT' || isDiskFull(error.cause);
}
