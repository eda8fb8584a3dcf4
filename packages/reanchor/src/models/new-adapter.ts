import { type Tensor, tensor, tidy, zeros } from '@reanchor/torch';
import { type AdaptableNetwork, type LowRankShape, moduleOf, scaleOf, targetModules } from '../adapters/index.js';
import { shown, UsageError } from '../errors.js';
import { uniforms } from '../random.js';
import type { FactorPlace, ModelAdapter } from './adapter.js';

/** The form of an adapter that is to be trained. */
export interface NewAdapterOptions {
  type: 'lora' | 'dora';
  r: number;
  alpha: number;
  /** See `targetModules`. */
  targets: string | readonly string[];
  rslora: boolean;
  /** The probability with which an input of the factors is left out in training. */
  dropout: number;
  /** How A is drawn; B is 0. */
  init: 'kaiming' | 'gaussian';
  /** Modules that are trained whole, by ends of their paths. */
  modulesToSave: readonly string[];
  seed: number;
}

/**
 * An adapter before its first step, with which a network computes what it does without:
 *
 *     A  uniform in +-1 / sqrt(inputs) (kaiming), or normal with deviation 1 / r (gaussian)
 *     B  0
 *     m  the row norms of W (DoRA)
 *
 * The seed decides A, layer by layer, whatever the device; no generator of libtorch is used.
 */
export class NewAdapter implements ModelAdapter {
  readonly untiesHead = false;
  readonly modules: ReadonlyMap<string, LowRankShape>;
  /** The parameters of the base that are trained whole. */
  readonly whole: readonly string[];
  /** The layers whose A is made. */
  #made = 0;

  /** Errors: UsageError for targets that are no linear layers, and for modules that cannot be trained whole. */
  constructor(
    network: AdaptableNetwork,
    readonly options: NewAdapterOptions,
  ) {
    const { type, r, alpha, rslora, targets } = options;
    const shape = { r, alpha, scale: scaleOf({ alpha, r, rslora }), isDora: type === 'dora', hasBias: false };
    this.modules = new Map(targetModules(targets, network).map((module) => [module, shape]));
    this.whole = wholeParameters(options.modulesToSave, network, this.modules);
  }

  /** What its config says besides. */
  get saved() {
    const { dropout, modulesToSave } = this.options;
    return { dropout, modulesToSave, bias: 'none' };
  }

  lowRank(layer: string): LowRankShape | undefined {
    return this.modules.get(layer);
  }

  factor(name: string, shape: readonly number[], { dtype, device, matrix }: FactorPlace): Tensor {
    if (name.endsWith('.lora_A.weight')) return tidy(() => tensor(this.#draw(shape), { shape }).to({ dtype, device }));
    if (!name.endsWith('.lora_magnitude_vector')) return zeros([...shape], { dtype, device });
    return tidy(() => matrix().to(dtype).linalgVectorNorm(2, [1]));
  }

  patched(_name: string, value: Tensor): Tensor {
    return value;
  }

  /** The numbers of the next A. */
  #draw([r, inputs]: readonly number[]): Float32Array {
    const next = uniforms(this.options.seed, this.#made);
    this.#made += 1;
    const draw =
      this.options.init === 'gaussian'
        ? () => (Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next())) / r!
        : () => (2 * next() - 1) / Math.sqrt(inputs!);
    return Float32Array.from({ length: r! * inputs! }, draw);
  }
}

/**
 * The parameters of modules that are trained whole, by ends of their paths, as PEFT takes them. Errors: UsageError for
 * a name that none has, for an adapted layer, and for an embedding that is the head as well.
 */
function wholeParameters(
  names: readonly string[],
  network: AdaptableNetwork,
  adapted: ReadonlyMap<string, LowRankShape>,
): string[] {
  const fail = (name: string, why: string): never => {
    throw new UsageError(`adapter.modulesToSave: ${shown(name)} ${why}`);
  };
  const pathOf = (parameter: string) => (parameter === network.head ? 'lm_head' : moduleOf(parameter));
  const paths = [...network.parameters.keys()].map((parameter) => ({ parameter, path: pathOf(parameter) }));
  return names.flatMap((name) => {
    // As PEFT takes them: norm is input_layernorm as well.
    const found = paths.filter(({ path }) => path.endsWith(name));
    if (name === 'lm_head' && network.head === undefined) {
      fail(name, 'is the embedding in this model: neither can be trained whole, since merged they would differ');
    }
    if (found.length === 0) fail(name, `is no module; one is ${pathOf(network.embedding)}`);
    for (const { parameter, path } of found) {
      if (adapted.has(path)) fail(name, `has an adapter already (${path}): name it in targets or here`);
      if (parameter === network.embedding && network.head === undefined) {
        fail(name, 'is the head as well in this model: neither can be trained whole, since merged they would differ');
      }
    }
    return found.map(({ parameter }) => parameter);
  });
}
