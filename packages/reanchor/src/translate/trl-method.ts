/** From TRL's losses and its synchronised reference to `method`, `loss` and `reference`. */
import type { Draft } from './draft.js';
import type { Trainer } from './trl-defaults.js';

/** Losses of TRL that heed its label_smoothing. */
const smoothing = ['robust', 'exo_pair', 'aot', 'aot_unpaired'];
/** Losses whose value for a row depends on the other rows of a micro-batch. */
const coupled = ['aot', 'aot_unpaired'];

/** Sets the method and its loss. Returns whether rows of a micro-batch see each other in it. */
export function setMethod(draft: Draft, trainer: Trainer): boolean {
  if (trainer === 'sft') return setSft(draft);
  if (trainer === 'kto') return setKto(draft);
  if (trainer === 'dpo') return setDpo(draft);
  const name = trainer === 'cpo' && draft.text('loss_type') === 'simpo' ? 'SimPO' : trainer.toUpperCase();
  draft.set('method', 'dpo', ...(draft.has('loss_type') ? ['loss_type'] : []));
  draft.miss('method', `${name} is not here: the recipe is of DPO, another method, with a reference and its own beta`);
  if (draft.has('beta')) draft.miss('beta', `it is another quantity in ${name}: the recipe has the default of DPO`);
  for (const option of ['beta', 'loss_type', 'label_smoothing']) draft.value(option);
  return false;
}

function setSft(draft: Draft): boolean {
  draft.set('method', 'sft');
  const loss = draft.text('loss_type');
  if (loss !== undefined && !['nll', 'chunked_nll'].includes(loss)) {
    draft.miss('loss_type', `${loss} is not here: the mean negative log-likelihood is`);
  }
  return false;
}

function setKto(draft: Draft): boolean {
  draft.set('method', 'kto');
  const loss = draft.text('loss_type');
  if (loss !== 'kto') draft.miss('loss_type', `${loss} is not here: kto is`);
  draft.set('loss.beta', draft.number('beta'), 'beta');
  draft.set('loss.desirableWeight', draft.number('desirable_weight'), 'desirable_weight');
  draft.set('loss.undesirableWeight', draft.number('undesirable_weight'), 'undesirable_weight');
  draft.set('loss.partners', 'previous', 'per_device_train_batch_size');
  draft.set('loss.over', 'microBatch', 'per_device_train_batch_size');
  draft.remark(
    'per_device_train_batch_size',
    "TRL estimates KTO's KL in each micro-batch, with the completion of the row before, in file order: shuffle the file. loss.partners shuffled, loss.over step and data.shuffle true do without all of this",
  );
  return true;
}

function setDpo(draft: Draft): boolean {
  const given = draft.value('loss_type');
  const types = (Array.isArray(given) ? given : [given]).map(String);
  const weights = draft.value('loss_weights');
  if (types.length === 1 && types[0] === 'ipo' && !Array.isArray(weights)) {
    draft.set('method', 'ipo', 'loss_type');
    draft.remark('beta', 'of IPO it is tau of its paper, in TRL as here: log-ratios are divided by the tokens');
  } else {
    draft.set('method', 'dpo');
    draft.set('loss.type', types.length === 1 && !Array.isArray(weights) ? types[0] : types, 'loss_type');
    if (Array.isArray(weights)) draft.set('loss.weights', weights.map(Number), 'loss_weights');
  }
  draft.set('loss.beta', draft.number('beta'), 'beta');
  setSmoothing(draft, types);
  const divergence = draft.text('f_divergence_type') ?? 'reverse_kl';
  const coefficient = draft.number('f_alpha_divergence_coef');
  if (divergence !== 'reverse_kl') draft.set('loss.fDivergenceType', divergence, 'f_divergence_type');
  if (divergence === 'alpha_divergence') {
    draft.set('loss.fAlphaDivergenceCoef', coefficient, 'f_alpha_divergence_coef');
  }
  const tau = draft.number('discopop_tau');
  if (types.includes('discopop')) draft.set('loss.discopopTau', tau, 'discopop_tau');
  const rpo = draft.number('rpo_alpha');
  if (rpo !== undefined) draft.set('loss.nllWeight', rpo, 'rpo_alpha');
  const isCoupled = types.some((type) => coupled.includes(type));
  if (isCoupled) draft.set('loss.over', 'microBatch', 'per_device_train_batch_size');
  return isCoupled;
}

function setSmoothing(draft: Draft, types: readonly string[]): void {
  const share = draft.number('label_smoothing') ?? 0;
  if (share === 0) {
    if (types.includes('exo_pair')) {
      draft.remark('label_smoothing', 'exo_pair needs one above 0, in TRL as here: 1e-3 is usual');
    }
    return;
  }
  const others = types.filter((type) => !smoothing.includes(type) && type !== 'sft');
  if (others.length === types.filter((type) => type !== 'sft').length) {
    draft.remark(
      'label_smoothing',
      `TRL ignores it with ${types.join(', ')}, and the recipe leaves it out; loss.labelSmoothing would make the loss conservative (cDPO)`,
    );
    return;
  }
  draft.set('loss.labelSmoothing', share, 'label_smoothing');
  if (others.includes('sigmoid')) {
    draft.miss('label_smoothing', 'TRL heeds it in some losses of the list alone, and not in sigmoid: here in all');
  }
}

/** Sets the reference: fixed, or moved as TRL's sync_ref_model moves it. */
export function setReference(draft: Draft): void {
  const isSynced = draft.flag('sync_ref_model');
  const isCached = draft.flag('precompute_ref_log_probs');
  const alpha = draft.number('ref_model_mixup_alpha') ?? 0.6;
  const tau = draft.number('ref_model_sync_steps') ?? 512;
  if (!isSynced) {
    draft.set('reference.update', 'fixed', 'sync_ref_model');
    if (isCached) draft.set('reference.storage', 'cached', 'precompute_ref_log_probs');
    for (const option of ['ref_model_mixup_alpha', 'ref_model_sync_steps']) {
      if (draft.has(option)) draft.remark(option, 'it has no effect, in TRL as here: sync_ref_model is not true');
    }
    return;
  }
  const update = alpha === 1 ? 'hard' : tau === 1 ? 'soft' : 'mixed';
  // A value that chooses the update, and that the update does not have, is told by its name.
  const chosenBy = { hard: ['ref_model_mixup_alpha'], soft: ['ref_model_sync_steps'], mixed: [] }[update];
  draft.set('reference.update', update, 'sync_ref_model', ...chosenBy);
  if (update !== 'hard') draft.set('reference.alpha', alpha, 'ref_model_mixup_alpha');
  if (update !== 'soft') draft.set('reference.tau', tau, 'ref_model_sync_steps');
  draft.remark('sync_ref_model', syncText(alpha, tau)[update]);
  draft.remark('sync_ref_model', 'TRL loses the moved reference when a run is resumed; here checkpoints hold it');
  if (draft.flag('use_peft')) draft.remark('use_peft', 'TRL refuses sync_ref_model with PEFT; here it trains');
  if (!isCached) return;
  draft.remark('precompute_ref_log_probs', 'TRL refuses it with sync_ref_model; here a hard update may be cached');
  if (update === 'hard') draft.set('reference.storage', 'cached', 'precompute_ref_log_probs');
}

const syncText = (alpha: number, tau: number) => ({
  hard: `the hard update of the paper: the reference becomes the policy every ${tau} steps`,
  soft: `the soft update of the paper: after every step the reference takes ${alpha} of the policy`,
  mixed: `TRL mixes with ${alpha}, and only every ${tau} steps: neither the soft update of the paper, which is every step (reference: { update: soft, alpha: ${alpha} }), nor its hard one (reference: { update: hard, tau: ${tau} })`,
});
