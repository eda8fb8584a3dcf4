/** The names of PEFT's files, and of the tensors in them. */
import { type AdaptableNetwork, headParameter, moduleOf } from './network.js';

export const configName = 'adapter_config.json';
export const weightsName = 'adapter_model.safetensors';

/** What stands before the path of a module in transformers. */
export const prefix = 'base_model.model.';

/** What the tensors of a module are for. */
export type Role = 'a' | 'b' | 'bBias' | 'magnitude' | 'embeddingA' | 'embeddingB';

const suffixes: Readonly<Record<Role, string>> = {
  a: '.lora_A.weight',
  b: '.lora_B.weight',
  bBias: '.lora_B.bias',
  magnitude: '.lora_magnitude_vector',
  embeddingA: '.lora_embedding_A',
  embeddingB: '.lora_embedding_B',
};

/** What PEFT puts between a module that is adapted and the parameters that it had. */
const baseLayer = '.base_layer';

/** The name of a factor of a module, such as base_model.model.X.lora_A.weight. */
export const factorName = (module: string, role: Role): string => `${prefix}${module}${suffixes[role]}`;

/** What a name in a file says: a factor, or a parameter of the base, by its name in transformers. */
export type NamedPart = { module: string; role: Role } | { parameter: string; isBelowAdapter: boolean };

/** What a tensor of a file is by its name; undefined for a name without PEFT's prefix. */
export function partOf(name: string): NamedPart | undefined {
  if (!name.startsWith(prefix)) return undefined;
  const path = name.slice(prefix.length);
  for (const [role, suffix] of Object.entries(suffixes)) {
    if (path.endsWith(suffix)) return { module: path.slice(0, -suffix.length), role: role as Role };
  }
  const module = moduleOf(path);
  if (!module.endsWith(baseLayer)) return { parameter: path, isBelowAdapter: false };
  return { parameter: module.slice(0, -baseLayer.length) + path.slice(module.length), isBelowAdapter: true };
}

/** What transformers calls the head of every network since its version 5. */
const headOfTransformers = 'lm_head';

/**
 * How one file calls the modules of a network. Only GPT-NeoX has two ways: its head is `embed_out` in checkpoints and
 * in transformers up to version 4, and `lm_head` since.
 */
export class ModuleNames {
  readonly embedding: string;
  /** The path of the head in the file. */
  readonly head: string;
  /** The checkpoint name of the head, also of one that is tied. */
  readonly headParameter: string;
  readonly #network: AdaptableNetwork;

  constructor(network: AdaptableNetwork, tensors: Iterable<string>) {
    this.#network = network;
    this.embedding = moduleOf(network.embedding);
    this.headParameter = headParameter(network);
    const ofCheckpoints = moduleOf(this.headParameter);
    const isAsInCheckpoints = [...tensors].some((name) => name.startsWith(`${prefix}${ofCheckpoints}.`));
    this.head = isAsInCheckpoints ? ofCheckpoints : headOfTransformers;
  }

  /** The checkpoint name of a parameter that the file calls so, and back. */
  inCheckpoints(parameter: string): string {
    return parameter === `${this.head}.weight` ? this.headParameter : parameter;
  }

  inFile(parameter: string): string {
    return parameter === this.headParameter ? `${this.head}.weight` : parameter;
  }

  /** The modules that have parameters, by their paths in the file. */
  modules(): Set<string> {
    const parameters = [...this.#network.parameters.keys(), this.headParameter];
    return new Set(parameters.map((parameter) => moduleOf(this.inFile(parameter))));
  }
}
