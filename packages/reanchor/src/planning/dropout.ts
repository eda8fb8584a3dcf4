/** Dropout that a model's config.json asks for. None is applied in training here. */

/** Keys of parts that a language model does not have, such as a classifier's head; some configs set them by default. */
const ofOtherHeads = /^(classifier|summary|cls|pooler|seq_classif|qa|score)/;

/**
 * What is to be said where config.json has dropout and the method is one for which TRL leaves it on, which is SFT: its
 * trainers of preferences turn it off (`disable_dropout`). Undefined where there is nothing to say.
 */
export function dropoutNote(method: string, config: Readonly<Record<string, unknown>>): string | undefined {
  if (method !== 'sft') return undefined;
  const keys = Object.entries(config).flatMap(([key, value]) =>
    /dropout|pdrop$/.test(key) && !ofOtherHeads.test(key) && typeof value === 'number' && value > 0
      ? [`${key} ${value}`]
      : [],
  );
  if (keys.length === 0) return undefined;
  const which = keys.length === 1 ? 'which is' : 'which are';
  return `the model's config.json has ${keys.join(', ')}, ${which} not applied: TRL's SFT would apply dropout, this trains without`;
}
