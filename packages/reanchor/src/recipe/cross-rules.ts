/** The rules between the keys of a recipe: what goes with what. */
import { adapterFormKeys } from './adapter-section.js';
import { fusedConflicts } from './kernels-section.js';
import { divergenceTypes, lossKeyMethods, lossSchema, type Method, methods } from './loss-section.js';

/** A rule between two keys, which no schema of a single key can hold. */
export interface CrossRule {
  path: readonly string[];
  /** Whether the given recipe, whose other keys may still be wrong, breaks the rule. */
  isBroken(given: Record<string, unknown>): boolean;
  rule: string;
}

const sectionOf = (given: Record<string, unknown>, name: string) => {
  const section = given[name];
  return typeof section === 'object' && section !== null ? (section as Record<string, unknown>) : {};
};

const methodOf = (given: Record<string, unknown>) => methods.find((method) => method === given.method);
const section = (name: string, key: string) => (given: Record<string, unknown>) => sectionOf(given, name)[key];
const isReference = (...updates: string[]) => {
  const update = section('reference', 'update');
  return (given: Record<string, unknown>) => updates.includes(String(update(given) ?? 'fixed'));
};

/** A key of `loss:` that the method does not use; a default that was written out is no mistake. */
const lossRules: CrossRule[] = Object.entries(lossKeyMethods).map(([key, users]) => ({
  path: ['loss', key],
  isBroken: (given) => {
    const value = section('loss', key)(given);
    const method: Method | undefined = methodOf(given);
    const isDefault = lossSchema.shape[key as keyof typeof lossSchema.shape].safeParse(undefined).data === value;
    return value !== undefined && !isDefault && method !== undefined && !users.includes(method);
  },
  rule: `it is an option of method ${users.join(', ')} and has no effect here: remove this key`,
}));

function isOtherDivergence(given: Record<string, unknown>): boolean {
  return !['reverse_kl', undefined].includes(section('loss', 'fDivergenceType')(given) as string | undefined);
}

/** Whether the losses of `loss.type` take another divergence; imitation beside them sees none. */
function takesDivergence(given: Record<string, unknown>): boolean {
  const names = [section('loss', 'type')(given) ?? 'sigmoid'].flat().filter((name) => name !== 'sft');
  return names.length > 0 && names.every((name) => divergenceTypes.some((type) => type === name));
}

const adapter = (key: string) => section('adapter', key);
const hasAdapter = (given: Record<string, unknown>) => given.adapter !== undefined;

const kernelRules: CrossRule[] = fusedConflicts.map(({ isIn, rule }) => ({
  path: ['kernels'],
  isBroken: (given) => given.kernels === 'fused' && isIn(given),
  rule,
}));

/** What goes with an adapter, and what it goes with. */
const adapterRules: CrossRule[] = [
  {
    path: ['quantize'],
    isBroken: (given) => ![undefined, 'none'].includes(given.quantize as string) && !hasAdapter(given),
    rule: 'weights that are trained cannot be kept in 4 bits: add an adapter section, or remove this key',
  },
  {
    path: ['quantize'],
    isBroken: (given) =>
      hasAdapter(given) &&
      ![undefined, 'none'].includes(given.quantize as string) &&
      section('parallel', 'shard')(given) === 'parameters',
    rule: 'weights of 4 bits are not divided among processes: use parallel.shard none, or quantize none',
  },
  ...(['average', 'rank'] as const).map((key) => ({
    path: ['reference', key],
    isBroken: (given: Record<string, unknown>) => section('reference', key)(given) !== undefined && !hasAdapter(given),
    rule: 'it is of a reference that is an adapter, and weights are averaged as they are: add an adapter section, or remove this key',
  })),
  {
    path: ['reference', 'rank'],
    isBroken: (given) =>
      section('reference', 'rank')(given) !== undefined && section('reference', 'average')(given) === 'factors',
    rule: 'factors keep their rank: remove this key, or use average product',
  },
  {
    path: ['reference', 'average'],
    isBroken: (given) => section('reference', 'average')(given) === 'product' && adapter('type')(given) === 'dora',
    rule: 'what dora makes of a matrix has no low rank: use average factors, or type lora',
  },
  {
    path: ['adapter', 'dropout'],
    isBroken: (given) => Number(adapter('dropout')(given) ?? 0) > 0 && adapter('type')(given) === 'dora',
    rule: 'dora sees its inputs in the frozen matrix as well, which dropout would change: remove this key, or use type lora',
  },
  ...adapterFormKeys.map((key) => ({
    path: ['adapter', key],
    isBroken: (given: Record<string, unknown>) =>
      adapter(key)(given) !== undefined && adapter('resumeFrom')(given) !== undefined,
    rule: 'the adapter of resumeFrom has its own: remove this key',
  })),
  {
    path: ['precision'],
    isBroken: (given) => given.precision === 'bf16-params' && hasAdapter(given),
    rule: 'an adapter is trained in float32 beside a base in bfloat16: use bf16',
  },
  {
    path: ['adapter', 'modulesToSave'],
    isBroken: (given) => given.precision === 'bf16' && adapter('modulesToSave')(given) !== undefined,
    rule: 'whole modules are trained in the precision of the base, and in bfloat16 they would lose small steps: use precision fp32, or remove this key',
  },
  {
    path: ['parallel', 'shard'],
    isBroken: (given) =>
      hasAdapter(given) && ['optimizer', 'gradients'].includes(String(section('parallel', 'shard')(given))),
    rule: 'the optimizer state and the gradients of an adapter are small, and every process has them: use parameters, which divides the base, or none',
  },
  {
    path: ['parallel', 'offload'],
    isBroken: (given) => hasAdapter(given) && section('parallel', 'offload')(given) === 'optimizer',
    rule: 'the optimizer state of an adapter is small and stays on the device: remove this key',
  },
  {
    path: ['optimizer', 'moments'],
    isBroken: (given) => section('optimizer', 'moments')(given) === '8bit' && given.precision === 'fp64',
    rule: '8bit is for float32 and bfloat16: remove this key, or use another precision',
  },
  {
    path: ['optimizer', 'moments'],
    isBroken: (given) =>
      section('optimizer', 'moments')(given) === '8bit' &&
      (!['none', undefined].includes(section('parallel', 'shard')(given) as string | undefined) ||
        section('parallel', 'offload')(given) === 'optimizer'),
    rule: 'blocks of 8-bit moments are those of whole parameters, which divided or offloaded ones are not: remove this key, or use parallel.shard none',
  },
  {
    path: ['matmul'],
    isBroken: (given) => given.matmul !== undefined && given.precision !== undefined && given.precision !== 'fp32',
    rule: 'it says what products of float32 matrices are computed in, of which other precisions have none: remove this key, or use precision fp32',
  },
  {
    path: ['save', 'merged'],
    isBroken: (given) => section('save', 'merged')(given) === true && !hasAdapter(given),
    rule: 'there is no adapter to be merged: remove this key',
  },
  {
    path: ['save', 'merged'],
    isBroken: (given) =>
      section('save', 'merged')(given) === true && section('parallel', 'shard')(given) === 'parameters',
    rule: 'no process has the base to merge into: use parallel.shard none, or reanchor merge afterwards',
  },
];

/** The rules between keys: an option without effect is an error. */
export const crossRules: readonly CrossRule[] = [
  ...lossRules,
  ...kernelRules,
  ...adapterRules,
  {
    path: ['loss', 'weights'],
    isBroken: (given) => {
      const weights = section('loss', 'weights')(given);
      const type = section('loss', 'type')(given);
      return (
        weights !== undefined && (!Array.isArray(type) || !Array.isArray(weights) || type.length !== weights.length)
      );
    },
    rule: 'it needs a list of losses in loss.type, and one weight for each of them',
  },
  {
    path: ['loss', 'fDivergenceType'],
    isBroken: (given) => methodOf(given) === 'dpo' && isOtherDivergence(given) && !takesDivergence(given),
    rule: `it is for the losses ${divergenceTypes.join(', ')}, with or without sft beside: remove this key, or change loss.type`,
  },
  {
    path: ['loss', 'fDivergenceType'],
    isBroken: (given) => isOtherDivergence(given) && section('loss', 'clipReferenceMargin')(given) === true,
    rule: 'loss.clipReferenceMargin goes with reverse_kl alone: remove one of the two',
  },
  {
    path: ['loss', 'fAlphaDivergenceCoef'],
    isBroken: (given) =>
      section('loss', 'fAlphaDivergenceCoef')(given) !== undefined &&
      section('loss', 'fDivergenceType')(given) !== 'alpha_divergence',
    rule: 'it is the order of fDivergenceType alpha_divergence and has no effect here: remove this key',
  },
  {
    path: ['reference'],
    isBroken: (given) => methodOf(given) === 'sft' && !isEmptyReference(given.reference),
    rule: 'method sft has no reference: remove this section',
  },
  {
    path: ['reference', 'storage'],
    isBroken: (given) => section('reference', 'storage')(given) === 'cached' && !isReference('fixed', 'hard')(given),
    rule: 'log-probabilities can be cached only while the reference stays where it is and if an update makes it the policy: use update fixed or hard, or storage copy',
  },
  {
    path: ['reference', 'maxDivergence'],
    isBroken: (given) =>
      section('reference', 'storage')(given) === 'cached' && section('reference', 'maxDivergence')(given) !== undefined,
    rule: 'a cached reference cannot be kept past the update for which it was made: use storage copy',
  },
  {
    path: ['reference', 'metric'],
    isBroken: (given) =>
      section('reference', 'metric')(given) === 'accuracy' && section('evaluate', 'every')(given) === undefined,
    rule: 'accuracy is measured by evaluations: set evaluate.every and data.validation, or use margin',
  },
  {
    path: ['reference', 'metric'],
    isBroken: (given) => section('reference', 'metric')(given) === 'accuracy' && methodOf(given) === 'kto',
    rule: 'accuracy is of pairs, which method kto has none of: use margin',
  },
  {
    path: ['data', 'loss'],
    isBroken: (given) => section('data', 'loss')(given) === 'full' && !['sft', undefined].includes(methodOf(given)),
    rule: 'full is an option of method sft: use assistant or completion, or remove this key',
  },
  {
    path: ['steps'],
    isBroken: (given) => given.steps !== undefined && given.epochs !== undefined,
    rule: 'contradicts epochs, since either sets the length of the run: remove one of them; null takes one out of a recipe that this one extends',
  },
  {
    path: ['evaluate', 'every'],
    isBroken: (given) =>
      sectionOf(given, 'evaluate').every !== undefined && sectionOf(given, 'data').validation === undefined,
    rule: 'it has no effect without data.validation: set data.validation, or remove this key',
  },
  {
    path: ['evaluate', 'generate'],
    isBroken: (given) =>
      sectionOf(given, 'evaluate').generate !== undefined && sectionOf(given, 'data').validation === undefined,
    rule: 'its prompts are those of data.validation: set data.validation, or remove this section',
  },
  {
    path: ['checkpoint', 'best'],
    isBroken: (given) => {
      const { every, best } = sectionOf(given, 'checkpoint');
      const evaluated = sectionOf(given, 'evaluate').every;
      return best !== undefined && !(Number(every) % Number(evaluated) === 0);
    },
    rule: 'checkpoints are compared by the evaluation of their step: set evaluate.every, and checkpoint.every to a multiple of it in steps, or remove this key',
  },
  {
    path: ['checkpoint', 'final'],
    isBroken: (given) => {
      const { best, final } = sectionOf(given, 'checkpoint');
      return final === 'best' && best === undefined;
    },
    rule: 'the best is told by checkpoint.best: set that to a metric of evaluations, and checkpoint.every to a multiple of evaluate.every, or remove this key',
  },
  {
    path: ['stop'],
    isBroken: (given) => given.stop !== undefined && section('evaluate', 'every')(given) === undefined,
    rule: 'it goes by evaluations on the way: set data.validation and evaluate.every, or remove this section',
  },
  ...(['replicas', 'offload'] as const).map((key) => ({
    path: ['parallel', key],
    isBroken: (given: Record<string, unknown>) => {
      const { shard = 'none', [key]: value } = sectionOf(given, 'parallel');
      return shard === 'none' && ![undefined, 1, 'none'].includes(value as string | number | undefined);
    },
    rule: 'it has no effect where parallel.shard divides nothing: set parallel.shard to optimizer, gradients or parameters, or remove this key',
  })),
  {
    path: ['onDivergence'],
    isBroken: (given) =>
      given.onDivergence === 'rollback' &&
      [undefined, 'never'].includes(sectionOf(given, 'checkpoint').every as string),
    rule: 'rollback needs checkpoints to go back to: set checkpoint.every, in steps where they have to be there in time, or use stop or skip',
  },
  {
    path: ['onRunaway'],
    isBroken: (given) => given.onRunaway === 'stop' && methodOf(given) === 'sft',
    rule: 'method sft has no chosen answers to watch: remove this key',
  },
  {
    path: ['log', 'experiment'],
    isBroken: (given) => {
      const { experiment, mlflow } = sectionOf(given, 'log');
      return experiment !== undefined && mlflow === undefined;
    },
    rule: 'it has no effect without log.mlflow: set log.mlflow, or remove this key',
  },
];

function isEmptyReference(given: unknown): boolean {
  return given === undefined || JSON.stringify(given) === '{"update":"fixed"}';
}
