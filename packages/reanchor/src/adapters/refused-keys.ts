/** What an adapter_config.json can ask for that is refused rather than approximated. */
import { FormatError, shown } from '../errors.js';

/** Why keys are refused that begin so and have another value than those that switch them off. */
const refusedKeys: Readonly<Record<string, string>> = {
  fan_in_fan_out: 'weights are stored transposed, which no supported architecture does',
  layer_replication: 'layers of the base are repeated',
  target_parameters: 'parameters that belong to no linear layer are adapted',
  trainable_token_indices: 'single rows of the embedding are trained',
  use_qalora: 'QALoRA pools the inputs in groups',
  use_bdlora: 'BD-LoRA has factors of diagonal blocks',
  alora: 'aLoRA adapts the tokens after an invocation only',
  arrow: 'Arrow chooses among several adapters token by token',
  velora: 'VeLoRA changes the products',
  kasa: 'KaSA has singular values beside the factors, and a truncated base',
  monteclora: 'MonteCLoRA draws its factors',
};

/** Ways to begin that leave the base as it was; how an adapter began says then nothing of how it is read. */
const harmlessBeginnings = ['gaussian', 'orthogonal', 'eva'];

/** Ways to begin that took something out of the base, by how their names begin. */
const baseChanging = ['pissa', 'olora', 'corda', 'loftq', 'lora_ga'];

/** Errors: FormatError for a config that asks for what is not read, with the key and what to do. */
export function refuseUnreadable(json: Readonly<Record<string, unknown>>, file: string): void {
  const refuse = (key: string, message: string): never => {
    throw new FormatError(message, { file, where: key });
  };
  const type = json.peft_type ?? 'LORA';
  if (type !== 'LORA')
    refuse('peft_type', `is ${shown(type)}; LORA (LoRA, DoRA) is read: merge another adapter by PEFT`);
  if ('fine_tune_type' in json && json.peft_type === undefined)
    refuse('fine_tune_type', "is a key of mlx-lm, whose adapters have a format of their own: PEFT's folders are read");
  for (const [key, value] of Object.entries(json)) {
    const why = isSet(value) ? reason(key) : undefined;
    if (why !== undefined)
      refuse(
        key,
        `is ${shown(value)}, which is not read: ${why}. Merge the adapter by PEFT, and load the merged model`,
      );
  }
  refuseBeginning(json.init_lora_weights ?? true, refuse);
}

const reason = (key: string): string | undefined => {
  const beginning = Object.keys(refusedKeys).find((one) => key.startsWith(one));
  return beginning === undefined ? undefined : refusedKeys[beginning];
};

/** Whether a key has another value than those that switch it off. */
const isSet = (value: unknown): boolean => {
  if (typeof value === 'object' && value !== null) return Object.keys(value).length > 0;
  return value !== null && value !== undefined && value !== false;
};

function refuseBeginning(value: unknown, refuse: (key: string, message: string) => never): void {
  if (typeof value === 'boolean') return;
  const name = typeof value === 'string' ? value.toLowerCase() : '';
  if (harmlessBeginnings.includes(name)) return;
  const why = baseChanging.some((beginning) => name.startsWith(beginning))
    ? 'it changed the base, so that the factors alone are wrong on it. Save the adapter in PEFT with ' +
      'path_initial_model_for_weight_conversion, which makes plain LoRA of twice the rank of it'
    : `it is not known whether the base is still what it was. Read are true, false, ${harmlessBeginnings.join(', ')}`;
  refuse('init_lora_weights', `is ${shown(value)}: ${why}`);
}
