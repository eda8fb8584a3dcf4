/** From arguments of TRL 1.13 to a draft of a recipe. */
import { UsageError } from '../errors.js';
import type { Draft } from './draft.js';
import { setData } from './trl-data.js';
import type { Trainer } from './trl-defaults.js';
import { setMethod, setReference } from './trl-method.js';
import { setAdapter, setModel } from './trl-model.js';
import { trlOptions } from './trl-options.js';
import { setBatch, setLength, setMachine, setOptimizer, setRhythm } from './trl-training.js';

/** The version whose arguments and defaults are translated. */
export const trlVersion = '1.13.0';

/** Makes a draft whole: every argument becomes keys of the recipe, or is told of. */
export function translateTrl(draft: Draft, trainer: Trainer, processes: number | undefined, format: string): void {
  setModel(draft);
  setAdapter(draft, trainer);
  const isCoupled = setMethod(draft, trainer);
  if (trainer === 'dpo' || trainer === 'kto') setReference(draft);
  setData(draft, trainer);
  const facts = { processes, isCoupled };
  setBatch(draft, facts);
  setOptimizer(draft);
  setLength(draft);
  setRhythm(draft);
  setMachine(draft, facts);
  draft.tellRest(trlOptions, format);
}

/** Options that one trainer alone has, or its users alone give. */
const marks: Readonly<Record<Trainer, readonly string[]>> = {
  cpo: ['cpo_alpha', 'simpo_gamma'],
  kto: ['desirable_weight', 'undesirable_weight'],
  sft: ['packing', 'max_seq_length', 'completion_only_loss', 'assistant_only_loss', 'dataset_text_field'],
  orpo: [],
  dpo: [
    'loss_weights',
    'f_divergence_type',
    'discopop_tau',
    'ld_alpha',
    'use_weighting',
    'rpo_alpha',
    'label_smoothing',
  ],
};
const losses: Readonly<Record<Trainer, readonly string[]>> = {
  cpo: ['simpo'],
  kto: ['kto', 'apo_zero_unpaired'],
  sft: ['nll', 'chunked_nll', 'dft'],
  orpo: [],
  dpo: [],
};

/** The trainer whose arguments these are, and how it is known. Errors: UsageError where nothing says it. */
export function trainerOf(given: ReadonlyMap<string, unknown>, file: string): { trainer: Trainer; why: string } {
  const names = ['cpo', 'kto', 'sft', 'orpo', 'dpo'] as const;
  const marked = names.find((name) => marks[name].some((option) => given.has(option)));
  if (marked) return { trainer: marked, why: `by ${marks[marked].find((option) => given.has(option))}` };
  const loss = [given.get('loss_type')].flat()[0];
  if (typeof loss === 'string') {
    return { trainer: names.find((name) => losses[name].includes(loss)) ?? 'dpo', why: `by loss_type ${loss}` };
  }
  const inPath = names.find((name) => new RegExp(`(^|[^a-z])${name}([^a-z]|$)`, 'i').test(file));
  if (inPath) return { trainer: inPath, why: `by the name of the file` };
  if (given.has('beta') || given.has('sync_ref_model'))
    return { trainer: 'dpo', why: 'since beta is given, and no more' };
  throw new UsageError(
    (option) => `${file} does not say which trainer it is for: name it with ${option('trainer')} (${names.join(', ')})`,
  );
}
