/** From TRL's arguments of training to the rows of a step, `optimizer`, `schedule`, the length of the run, ... */
import type { Draft } from './draft.js';

/** What is known of a run besides its options. */
export interface RunFacts {
  /** The processes that train, where they were named. */
  processes: number | undefined;
  /** Whether rows of a micro-batch see each other in the loss. */
  isCoupled: boolean;
}

/** Sets the rows of a step, and of a micro-batch where the loss sees them. */
export function setBatch(draft: Draft, { processes, isCoupled }: RunFacts): void {
  const perDevice = draft.number('per_device_train_batch_size') ?? 8;
  const accumulated = draft.number('gradient_accumulation_steps') ?? 1;
  const told = draft.number('num_processes');
  const count = processes ?? told ?? 1;
  const size = perDevice * accumulated * count;
  draft.set('batch.size', size, 'per_device_train_batch_size', 'gradient_accumulation_steps', 'num_processes');
  const sum = `${perDevice} rows x ${accumulated} accumulated x ${count} ${count === 1 ? 'process' : 'processes'}`;
  draft.remark(
    'batch.size',
    processes === undefined && told === undefined
      ? `${sum} = ${size} rows a step: one process is assumed, since the file does not say how many there are`
      : `${sum} = ${size} rows a step, whatever the number of processes that train here`,
  );
  if (!isCoupled) return;
  draft.set('batch.rowsPerMicroBatch', perDevice, 'per_device_train_batch_size');
  const tokens = 3 * perDevice * ((draft.settings.get('data.maxLength')?.value as number) ?? 1024);
  draft.set('batch.tokensPerMicroBatch', Math.max(16384, tokens), 'per_device_train_batch_size');
}

const adamw = /^(adamw_(torch|torch_fused|torch_xla|torch_npu_fused|hf|apex_fused|anyprecision)|paged_adamw(_32bit)?)$/;
const adamw8 = /^(adamw_(bnb_8bit|8bit|torch_8bit)|paged_adamw_8bit)$/;

/** Sets AdamW and its schedule. */
export function setOptimizer(draft: Draft): void {
  draft.set('optimizer.lr', draft.number('learning_rate'), 'learning_rate');
  draft.set('optimizer.betas', [draft.number('adam_beta1'), draft.number('adam_beta2')], 'adam_beta1', 'adam_beta2');
  draft.set('optimizer.eps', draft.number('adam_epsilon'), 'adam_epsilon');
  draft.set('optimizer.weightDecay', draft.number('weight_decay'), 'weight_decay');
  const name = draft.text('optim') ?? '';
  if (adamw8.test(name)) {
    draft.set('optimizer.moments', '8bit', 'optim');
    draft.remark('optim', 'moments of 8 bits are rounded at random here: the same in the mean, not to the bit');
  } else if (!adamw.test(name)) {
    draft.miss('optim', `${name} is not here: the recipe has AdamW, whose learning rates may be others`);
  }
  const norm = draft.number('max_grad_norm') ?? 1;
  draft.set('maxGradNorm', norm === 0 ? 1e9 : norm, 'max_grad_norm');
  setSchedule(draft);
}

function setSchedule(draft: Draft): void {
  const name = draft.text('lr_scheduler_type') ?? 'linear';
  const steps = draft.number('warmup_steps') ?? 0;
  const ratio = draft.number('warmup_ratio') ?? 0;
  const warmup = steps > 0 ? steps : ratio;
  const known: Readonly<Record<string, string>> = {
    linear: 'linear',
    constant: 'constant',
    constant_with_warmup: 'constant',
  };
  draft.set('schedule.type', known[name] ?? 'linear', 'lr_scheduler_type');
  if (!known[name]) draft.miss('lr_scheduler_type', `${name} is not here: the recipe falls linearly in its place`);
  if (name === 'constant' && warmup > 0) {
    draft.remark('warmup_steps', 'transformers ignores it with constant, and the recipe leaves it out');
    return;
  }
  draft.set('schedule.warmupSteps', warmup, steps > 0 || !draft.has('warmup_ratio') ? 'warmup_steps' : 'warmup_ratio');
}

/** Sets the length of the run. */
export function setLength(draft: Draft): void {
  const steps = draft.number('max_steps') ?? -1;
  const epochs = draft.number('num_train_epochs') ?? 3;
  if (steps > 0) {
    draft.set('steps', steps, 'max_steps');
    if (draft.has('num_train_epochs')) {
      const text = 'max_steps sets the length of the run, in TRL as here';
      draft.harmless.push({ option: draft.nameOf('num_train_epochs'), text });
    }
    return;
  }
  draft.set('epochs', Math.max(1, Math.ceil(epochs)), 'num_train_epochs');
  if (!Number.isInteger(epochs) || epochs < 1) {
    draft.miss('num_train_epochs', `${epochs} is no whole number of passes: name the steps by the key steps`);
  }
}

/** Sets what is evaluated, kept and logged on the way. */
export function setRhythm(draft: Draft): void {
  const strategy = draft.text('eval_strategy') ?? 'no';
  const logging = draft.number('logging_steps') ?? 10;
  const every = draft.number('eval_steps') ?? logging;
  if (isSteps(logging)) draft.set('logEvery', logging, 'logging_steps');
  else draft.remark('logging_steps', 'every step is logged: logEvery has a number of steps');
  if (draft.settings.has('data.validation')) {
    if (strategy === 'steps' && isSteps(every)) draft.set('evaluate.every', every, 'eval_strategy', 'eval_steps');
    else
      draft.remark(
        strategy === 'steps' ? 'eval_steps' : 'eval_strategy',
        'evaluations are before and after the run: evaluate.every has more, in steps',
      );
  } else if (strategy !== 'no') {
    const text = 'no rows to evaluate on are named: data.validation has them';
    draft.harmless.push({ option: draft.nameOf('eval_strategy'), text });
  }
  setCheckpoints(draft);
  const sinks = draft.value('report_to');
  if ([sinks].flat().includes('tensorboard') || sinks === 'all') draft.set('log.tensorboard', true, 'report_to');
  const others = [sinks].flat().filter((sink) => !['tensorboard', 'none', null, undefined].includes(sink as string));
  if (others.length > 0) {
    draft.harmless.push({
      option: draft.nameOf('report_to'),
      text: `${others.join(', ')}: the dashboard shows runs; log.mlflow names an MLflow server by its address`,
    });
  }
}

const isSteps = (every: number) => Number.isInteger(every) && every >= 1;

function setCheckpoints(draft: Draft): void {
  const strategy = draft.text('save_strategy') ?? 'steps';
  const every = draft.number('save_steps') ?? 500;
  const keep = draft.number('save_total_limit');
  const metric = draft.text('metric_for_best_model');
  if (strategy === 'no') draft.set('checkpoint.every', 'never', 'save_strategy');
  else if (strategy === 'steps' && isSteps(every)) draft.set('checkpoint.every', every, 'save_strategy', 'save_steps');
  else
    draft.remark(
      strategy === 'steps' ? 'save_steps' : 'save_strategy',
      'checkpoints are every 15 minutes: checkpoint.every has them in steps',
    );
  if (keep !== undefined) draft.set('checkpoint.keep', keep, 'save_total_limit');
  if (!draft.flag('load_best_model_at_end')) return;
  draft.miss('load_best_model_at_end', 'final/ is the last model: the best checkpoint is kept beside it');
  const evaluated = draft.settings.get('evaluate.every')?.value;
  const saved = draft.settings.get('checkpoint.every')?.value;
  if (typeof evaluated !== 'number' || typeof saved !== 'number' || saved % evaluated !== 0) return;
  draft.set('checkpoint.best', (metric ?? 'loss').replace(/^eval_/, ''), 'metric_for_best_model');
}

/** Sets the seed, the device and how processes share the run. */
export function setMachine(draft: Draft, { processes }: RunFacts): void {
  draft.set('seed', draft.number('seed'), 'seed');
  if (draft.flag('full_determinism')) draft.set('deterministic', true, 'full_determinism');
  if (draft.flag('use_cpu')) draft.set('device', 'cpu', 'use_cpu');
  draft.set('activationCheckpointing', draft.flag('gradient_checkpointing'), 'gradient_checkpointing');
  const count = processes ?? draft.number('num_processes') ?? 1;
  for (const option of ['deepspeed', 'fsdp', 'accelerate_config']) {
    const value = draft.value(option);
    if (value === null || value === undefined || value === false || value === '') continue;
    const shard = shardOf(JSON.stringify(value));
    const isAdapter = draft.settings.has('adapter.r');
    const possible = isAdapter && shard !== 'parameters' ? undefined : shard;
    if (possible && count > 1 && !draft.settings.has('quantize')) {
      draft.set('parallel.shard', possible, option);
    } else {
      const why = 'it changes no number of a run: parallel.shard divides what several processes hold';
      draft.harmless.push({ option: draft.nameOf(option), text: why });
    }
  }
}

/** What the name or the content of a configuration says of what is divided; undefined where it does not. */
function shardOf(text: string): string | undefined {
  const [, stage] = /(?:zero_?|stage"?:\s*)([123])/i.exec(text) ?? [];
  if (stage) return { 1: 'optimizer', 2: 'gradients', 3: 'parameters' }[stage];
  if (/shard_grad_op/i.test(text)) return 'gradients';
  return /full_shard|fsdp|true/i.test(text) ? 'parameters' : undefined;
}
