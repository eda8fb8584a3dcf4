/** A study of seconds: the tiny model is trained, writes answers, and two arms of two seeds align it on pairs. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tinyModel, tinyPairs } from './training.js';

export const tinyArms = 'arms: { dpo: { loss.beta: 0.1 }, hard: { reference: { update: hard, tau: 2 } } }';

/** Its text, with the arms and what follows them exchanged; its prompts are written into a folder. */
export function tinyStudy(folder: string, rest = tinyArms): string {
  const prompts = join(folder, 'prompts.jsonl');
  const rows = readFileSync(tinyPairs, 'utf8').trim().split('\n');
  const promptOf = (row: string) => (JSON.parse(row) as { chosen: string }).chosen.split('Assistant:')[0];
  writeFileSync(prompts, rows.map((row) => `${JSON.stringify({ prompt: promptOf(row) })}\n`).join(''));
  return `base:
  model: "\${stages.sft}"
  method: dpo
  data: { train: "\${stages.pairs}", format: explicit }
  batch: { size: 4 }
  optimizer: { lr: 1e-3 }
  steps: 4
stages:
  sft:
    train: { model: ${tinyModel}, method: sft, data: { train: ${tinyPairs}, maxLength: 64 }, batch: { size: 4 }, steps: 2 }
  pairs:
    sample: { model: "\${stages.sft}", prompts: ${prompts}, rows: 12, samples: 3, maxNewTokens: 8 }
    label: { score: length + 0.01 * surprise }
replicates: { over: pairs, seeds: [1, 2] }
measure: { every: 2, prompts: ${prompts}, rows: 6, maxNewTokens: 8, scores: { long: length, fluent: -surprise } }
${rest}
`;
}
